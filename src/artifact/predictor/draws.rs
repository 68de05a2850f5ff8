//! Joint draws of predictive distributions over rows: see [`DrawOptions`].

use rand_distr::{Distribution, StandardNormal};

use super::core::Core;
use super::member::{Engine, Member};
use crate::data::Task;
use crate::deform::{AtlasDraw, AtlasRows};
use crate::error::{Error, Result};
use crate::model::Law;
use crate::parallel;
use crate::predict::{ClassSums, DrawOptions, PredictiveDraws, draw_class};
use crate::scalar::Scalar;

/// The draws that one model has a component for.
struct Share {
    /// Numbers of the draws.
    draws: Vec<usize>,
    /// The component of each.
    components: Vec<usize>,
    /// The last layers of an atlas, one for each.
    layers: Vec<AtlasDraw>,
}

/// What a component says of one row.
enum Said {
    Law(Law),
    Probabilities(Vec<f64>),
}

impl<T: Scalar> Core<T> {
    pub(super) fn joint_draws(&self, x: &[f64], how: &DrawOptions) -> Result<PredictiveDraws> {
        let models: Vec<_> = self
            .members
            .iter()
            .map(|m| (m.weight, m.samples()))
            .collect();
        let width = match self.task {
            Task::Classification { classes } if !how.noise => classes,
            _ => 1,
        };
        how.check(x.len() / self.features.len().max(1), width)?;
        let picked = how.components(&models)?;
        let shares: Vec<Share> = self
            .members
            .iter()
            .enumerate()
            .map(|(m, member)| Share::new(m, member, &picked, how))
            .collect();
        let mut all = PredictiveDraws {
            rows: 0,
            count: how.count,
            width,
            values: Vec::new(),
        };
        self.blocks(x, |x| {
            let (first, rows) = (all.rows, x.len() / self.features.len());
            let each = self.members.iter().zip(&shares);
            let each = each.map(|(member, share)| share.said(member, self, x));
            let each = each.collect::<Result<Vec<_>>>()?;
            let values = parallel::try_map(rows, |row| {
                let mut rng = how.noise_of(first + row);
                // the noise is drawn in the order of the draws, whichever model a draw is of
                let mut of_row: Vec<Option<(&Said, usize)>> = vec![None; how.count];
                for (m, (share, said)) in shares.iter().zip(&each).enumerate() {
                    let said = &said[row * share.draws.len()..];
                    for (&j, said) in share.draws.iter().zip(said) {
                        of_row[j] = Some((said, m));
                    }
                }
                let mut values = Vec::with_capacity(how.count * width);
                for (said, m) in of_row.into_iter().flatten() {
                    match said {
                        Said::Law(law) => {
                            let z = match how.noise {
                                true => law.draw(&mut rng)?,
                                false => law.mean(),
                            };
                            values.push(self.members[m].target.inverse(z));
                        }
                        Said::Probabilities(p) if how.noise => {
                            values.push(draw_class(p, &mut rng) as f64);
                        }
                        Said::Probabilities(p) => values.extend_from_slice(p),
                    }
                }
                Ok(values)
            })?;
            all.values.extend(values.into_iter().flatten());
            all.rows += rows;
            Ok(())
        })?;
        Ok(all)
    }
}

impl Share {
    fn new<T: Scalar>(
        m: usize,
        member: &Member<T>,
        picked: &[(usize, usize)],
        how: &DrawOptions,
    ) -> Self {
        let own = picked.iter().enumerate().filter(|(_, p)| p.0 == m);
        let (draws, components): (Vec<_>, Vec<_>) = own.map(|(j, p)| (j, p.1)).unzip();
        let layers = match &member.engine {
            Engine::Samples(_) => Vec::new(),
            Engine::Anchors(anchors) => {
                let dim = anchors.last_layer_dim();
                let layer = |(&j, &anchor): (&usize, &usize)| {
                    let normals = StandardNormal.sample_iter(how.shared_of(j));
                    AtlasDraw {
                        anchor,
                        z: normals.take(dim).collect(),
                    }
                };
                draws.iter().zip(&components).map(layer).collect()
            }
        };
        Self {
            draws,
            components,
            layers,
        }
    }

    /// What the components say of rows `x`: `[rows, draws]`.
    fn said<T: Scalar>(&self, member: &Member<T>, core: &Core<T>, x: &[f64]) -> Result<Vec<Said>> {
        if self.draws.is_empty() {
            return Ok(Vec::new());
        }
        match &member.engine {
            Engine::Anchors(anchors) => self.by_anchors(member, core, anchors, x),
            Engine::Samples(_) => self.by_samples(member, core.task, x),
        }
    }

    fn by_samples<T: Scalar>(
        &self,
        member: &Member<T>,
        task: Task,
        x: &[f64],
    ) -> Result<Vec<Said>> {
        // a single logit has become two
        let outputs = member.all_outputs(x)?;
        let (samples, rows) = (outputs.samples, 0..outputs.rows);
        if let Task::Classification { classes } = task {
            let mut softmax = ClassSums::new(classes);
            let mut said = Vec::with_capacity(outputs.rows * self.draws.len());
            for row in rows {
                for &s in &self.components {
                    softmax.clear();
                    softmax.add(1.0, &outputs.row(row)[s * classes..(s + 1) * classes]);
                    said.push(Said::Probabilities(softmax.probabilities().to_vec()));
                }
            }
            return Ok(said);
        }
        let laws = member.laws(&outputs)?.laws;
        let each = rows.flat_map(|row| self.components.iter().map(move |s| row * samples + s));
        Ok(each.map(|at| Said::Law(laws[at])).collect())
    }

    fn by_anchors<T: Scalar>(
        &self,
        member: &Member<T>,
        core: &Core<T>,
        anchors: &AtlasRows<T>,
        x: &[f64],
    ) -> Result<Vec<Said>> {
        let plain = core.plain.ok_or_else(|| {
            let (expected, got) = ("Gaussian noise", "another likelihood");
            Error::shape("draws of an atlas", expected, got)
        })?;
        let means = anchors.draws(&member.features.transform(x)?, &self.layers)?;
        let noise = |k: usize| *member.noise_stds.get(k).unwrap_or(&plain.noise_std);
        let each = means.iter().zip(self.components.iter().cycle());
        let law = |(&mean, &k): (&f64, &usize)| {
            let std = noise(k);
            Said::Law(Law::Normal { mean, std })
        };
        Ok(each.map(law).collect())
    }
}
