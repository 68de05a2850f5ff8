//! Models that were tried on rows held out: method `auto`, and `--hidden auto`.

use serde::{Deserialize, Serialize};

use super::{FitReport, number};

/// What was chosen among.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Among {
    /// Models, of which a mixture is made.
    #[default]
    Models,
    /// Widths of the hidden layers, of which the best are taken.
    Widths,
}

/// The models that were tried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Portfolio {
    /// What was chosen among.
    pub among: Among,
    /// Each model.
    pub tried: Vec<Tried>,
    /// Log density of the rows held out under the mixture, in nats.
    pub elpd: Option<f64>,
    /// Rows held out.
    pub rows: usize,
    /// Models that were scored to the end.
    pub scored: usize,
    /// Gradients that the scoring took.
    #[serde(with = "number")]
    pub validation_gradients: f64,
    /// Walks that scored models, one for each model and fold. Older files have none.
    #[serde(skip_serializing_if = "is_zero")]
    pub walks: usize,
    /// Those of them that a budget ended in their warm-up.
    #[serde(skip_serializing_if = "is_zero")]
    pub cut_in_warm_up: usize,
    /// True if the walkers of no model agree, and one is kept all the same.
    pub none_agrees: bool,
}

impl Portfolio {
    /// The models that are part of the result.
    pub fn kept(&self) -> impl Iterator<Item = &Tried> {
        self.tried.iter().filter(|t| t.left_out.is_none())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A model that was tried.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tried {
    /// What it is.
    pub name: String,
    /// Its share of the mixture.
    pub weight: Option<f64>,
    /// Log density of the rows held out, in nats.
    pub elpd: Option<f64>,
    /// Rows held out; fewer for a model that was given up early.
    pub rows: usize,
    /// Median R-hat of predictions of the walk on all rows.
    pub rhat: Option<f64>,
    /// Its walk on all rows, of a model that is part of a mixture: what the verdict is about. Older
    /// files have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<Box<FitReport>>,
    /// Why it is not part of the result.
    pub left_out: Option<LeftOut>,
}

/// Why a model was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LeftOut {
    /// It could not be fitted.
    Failed {
        /// Why.
        why: String,
    },
    /// It is far behind the best after the first fold.
    Behind {
        /// Nats a row.
        #[serde(with = "number")]
        nats: f64,
    },
    /// Its walkers do not agree.
    WalkersApart {
        /// Median R-hat of predictions.
        #[serde(with = "number")]
        rhat: f64,
    },
    /// Its share of the mixture is next to nothing.
    SmallWeight,
    /// Another one predicts better.
    NotBest,
}
