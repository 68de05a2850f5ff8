//! The models that method `auto` tries.

use super::{FeatureTransform, PriorChoice, TargetTransform};
use crate::data::{Dataset, Task, Warp};
use crate::model::Observation;
use crate::nn::Activation;

/// One model of the portfolio.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub hidden: Vec<usize>,
    pub activation: Activation,
    pub prior: PriorChoice,
    pub likelihood: Option<Observation>,
    pub features: FeatureTransform,
    pub target: TargetTransform,
}

impl Candidate {
    fn new(hidden: &[usize], activation: Activation, prior: PriorChoice) -> Self {
        Self {
            hidden: hidden.to_vec(),
            activation,
            prior,
            likelihood: None,
            features: FeatureTransform::None,
            target: TargetTransform::None,
        }
    }

    fn likelihood(self, likelihood: Observation) -> Self {
        let likelihood = Some(likelihood);
        Self { likelihood, ..self }
    }

    fn features(self, features: FeatureTransform) -> Self {
        Self { features, ..self }
    }

    fn target(self, target: TargetTransform) -> Self {
        Self { target, ..self }
    }

    /// The widths of the hidden layers, or "linear" if there are none.
    pub fn widths(&self) -> String {
        if self.hidden.is_empty() {
            return "linear".into();
        }
        let widths: Vec<String> = self.hidden.iter().map(usize::to_string).collect();
        widths.join("-")
    }

    pub fn name(&self) -> String {
        let mut name = self.widths();
        if !self.hidden.is_empty() {
            name += &format!(" {}", self.activation.name());
        }
        name += &format!(", {}", self.prior.name());
        if let Some(likelihood) = self.likelihood {
            name += &format!(", {likelihood}");
        }
        if self.features != FeatureTransform::None {
            name += &format!(", features {}", self.features);
        }
        if self.target != TargetTransform::None {
            name += &format!(", target {}", self.target);
        }
        name
    }
}

/// The models for a data set: with the given likelihood, or with several.
pub(super) fn candidates(data: &Dataset, asked: Option<Observation>) -> Vec<Candidate> {
    use Activation::{Silu, Tanh};
    use PriorChoice::{Ard, Hierarchical};
    let regression = data.task() == Task::Regression;
    // short walks get farther with fewer scales, and noise is harder than classes
    let usual = if regression { Hierarchical } else { Ard };
    let mut all = vec![
        Candidate::new(&[], Tanh, Ard),
        Candidate::new(&[50], Tanh, Ard),
        Candidate::new(&[50], Tanh, Hierarchical),
        Candidate::new(&[30, 30], Tanh, usual),
        Candidate::new(&[50], Silu, usual),
    ];
    // transforms help some data and harm others: the held-out rows decide
    let d = data.d();
    let column =
        |j: usize| -> Vec<f64> { data.features()[j..].iter().step_by(d).copied().collect() };
    let any = |f: fn(&[f64]) -> Option<Warp>| (0..d).any(|j| f(&column(j)).is_some());
    let plain = || Candidate::new(&[50], Tanh, usual);
    if any(Warp::for_heavy_tails) {
        all.push(plain().features(FeatureTransform::HeavyTails));
    }
    if !regression {
        if any(|column| Warp::yeo_johnson(column, Warp::FEATURES)) {
            all.push(plain().features(FeatureTransform::YeoJohnson));
        }
    } else if asked.is_none() {
        all.push(plain().likelihood(Observation::Heteroscedastic));
        all.push(plain().likelihood(Observation::StudentT));
        let y = data.targets();
        if y.iter().all(|&y| y > 0.0) {
            all.push(plain().target(TargetTransform::Log));
        } else if Warp::yeo_johnson(y, Warp::TARGETS).is_some() {
            all.push(plain().target(TargetTransform::YeoJohnson));
        }
    }
    if let Some(asked) = asked {
        all.iter_mut().for_each(|c| c.likelihood = Some(asked));
    }
    all
}
