//! What files of atlases and flows keep of a fit: the training rows, and points of the walk.

use super::any::AnyModel;
use super::fitted::{Fitted, scaled_head};
use super::model::{Draws, FittedModel};
use super::training::TrainingRows;
use crate::deform::HiddenFlow;
use crate::error::Result;
use crate::scalar::Scalar;

impl AnyModel {
    /// The training rows, standardised, if the file holds them: those of `atlas` and `flow` do.
    pub fn training_rows(&self) -> Option<TrainingRows<f64>> {
        match self {
            Self::F32(model) => model.training_rows(),
            Self::F64(model) => model.training_rows(),
        }
    }

    /// The points of the walk that a flow of kind `points` is a mixture around. `theta` holds the
    /// hidden parameters only, `[n, P_h]`: the last layer is drawn anew for each draw. Nothing for
    /// other models.
    ///
    /// # Errors
    /// If the network's description is impossible.
    pub fn walk_points(&self) -> Result<Option<Draws<f64>>> {
        match self {
            Self::F32(model) => model.walk_points(),
            Self::F64(model) => model.walk_points(),
        }
    }
}

impl<T: Scalar> FittedModel<T> {
    fn training_rows(&self) -> Option<TrainingRows<f64>> {
        let (Fitted::Atlas { rows, .. } | Fitted::Flow { rows, .. }) = &self.fitted else {
            return None;
        };
        Some(TrainingRows {
            x: rows.features(),
            y: rows.y.clone(),
        })
    }

    fn walk_points(&self) -> Result<Option<Draws<f64>>> {
        let Fitted::Flow { deformation, .. } = &self.fitted else {
            return Ok(None);
        };
        let Some(HiddenFlow::Smoothed(flow)) = deformation.hidden() else {
            return Ok(None);
        };
        let points: Vec<f64> = flow.points().iter().map(|v| v.to_f64()).collect();
        let network = self.network()?;
        let (dim, hidden) = (network.dim(), network.hidden_params());
        let Some((head, own)) = scaled_head(&self.metadata, network.as_ref())? else {
            return Ok(Some(Draws::of(points, hidden, None, 0)));
        };
        // with a last layer of zeros these are rows that can be put into the order of files
        let last = vec![0.0; dim - hidden];
        let rows = points.chunks_exact(flow.dim());
        let rows: Vec<f64> = rows.flat_map(|row| [row, &last].concat()).collect();
        let stored = head.stored(&rows, own)?;
        let mut draws = Draws::of(stored, dim, self.metadata.scales.as_ref(), 0);
        let theta = draws.theta.chunks_exact(dim);
        draws.theta = theta.flat_map(|row| row[..hidden].to_vec()).collect();
        Ok(Some(draws))
    }
}
