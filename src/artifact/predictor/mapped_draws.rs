//! Draws of a model with a map: they follow its calibrated predictions.

use super::{Predictions, Predictor};
use crate::calibrate::{Recalibration, Transport};
use crate::error::{Error, Result};
use crate::predict::{DrawOptions, PredictiveDraws, draw_class};

/// Rows that are drawn at once.
const BLOCK: usize = 1024;

impl Predictor {
    /// Draws after the model's map. Those of a real target are stretched around the predicted
    /// means. Those of classes are moved so that their average is the calibrated prediction: see
    /// [`Transport`].
    pub(super) fn calibrated_draws(&self, x: &[f64], how: &DrawOptions) -> Result<PredictiveDraws> {
        let map = self
            .calibration
            .as_ref()
            .and_then(|c| c.recalibration.as_ref());
        match (map, self.rows.classes()) {
            (Some(map), Some(_)) => self.moved_draws(x, how, map),
            (Some(map), None) if map.spread() != 1.0 => self.stretched_draws(x, how, map.spread()),
            _ => self.rows.draws(x, how),
        }
    }

    fn stretched_draws(&self, x: &[f64], how: &DrawOptions, by: f64) -> Result<PredictiveDraws> {
        let mut draws = self.rows.draws(x, how)?;
        let Predictions::Real(plain) = self.rows.rows(x, &[])? else {
            return Ok(draws);
        };
        let rows = draws.values.chunks_exact_mut(draws.count.max(1));
        for (values, m) in rows.zip(&plain.moments) {
            for y in values {
                *y = m.stretched_quantile(*y, by);
            }
        }
        Ok(draws)
    }

    /// Block by block: a draw of a label needs the probabilities that it is drawn with.
    fn moved_draws(
        &self,
        x: &[f64],
        how: &DrawOptions,
        map: &Recalibration,
    ) -> Result<PredictiveDraws> {
        let mut all: Option<PredictiveDraws> = None;
        let d = self.rows.width();
        // all rows together: each block would pass alone
        let numbers = if how.noise {
            1
        } else {
            self.rows.classes().unwrap_or(1)
        };
        how.check(x.len() / d.max(1), numbers)?;
        for (at, block) in x.chunks(BLOCK * d.max(1)).enumerate() {
            let first = at * BLOCK;
            let in_block = DrawOptions {
                noise: false,
                first_row: how.first_row + first,
                ..*how
            };
            let counted = |e: Error| e.rows_from(first);
            let mut draws = self.rows.draws(block, &in_block).map_err(counted)?;
            let Predictions::Classes(p) = self.rows.rows(block, &[]).map_err(counted)? else {
                return Err(Error::shape("draws", "classes", "a real target"));
            };
            let k = draws.width.max(1);
            let rows = draws.values.chunks_exact_mut(draws.count * k);
            for (row, p) in rows.zip(p.probabilities.chunks_exact(k)) {
                let mut q = p.to_vec();
                map.apply(&mut q);
                let transport = Transport::new(p, &q);
                row.chunks_exact_mut(k)
                    .for_each(|draw| transport.apply(draw));
            }
            if how.noise {
                draws = labels_of(&draws, &in_block);
            }
            match &mut all {
                None => all = Some(draws),
                Some(all) => {
                    all.rows += draws.rows;
                    all.values.extend(draws.values);
                }
            }
        }
        match all {
            Some(all) => Ok(all),
            None => self.rows.draws(x, how),
        }
    }
}

/// Labels drawn with these probabilities, each row from its own stream.
fn labels_of(draws: &PredictiveDraws, how: &DrawOptions) -> PredictiveDraws {
    let of_row = |row: usize| {
        let mut rng = how.noise_of(row);
        let each = draws.row(row).chunks_exact(draws.width.max(1));
        let labels = each.map(|p| draw_class(p, &mut rng) as f64);
        labels.collect::<Vec<_>>()
    };
    PredictiveDraws {
        width: 1,
        values: (0..draws.rows).flat_map(of_row).collect(),
        rows: draws.rows,
        count: draws.count,
    }
}
