//! A model of one's own from end to end, its parts checked by the kit (`fiberwalk::testing`).
#![allow(clippy::print_stdout)] // a program talks to its user; the library does not
use fiberwalk::pipeline::{FitOptions, Method, fit_model};
use fiberwalk::testing::*;
use fiberwalk::{Activation, Error, Law, Likelihood, Mlp, Model, Predictive, Prior, Result};
use fiberwalk::{artifact::AnyModel, autodiff::Var, nn::Mapped, nn::ParamLayout, special};
/// Targets are a count and its exposure: `count ~ Poisson(exposure e^output)`.
struct Claims;
impl Likelihood for Claims {
    fn target_dim(&self, _outputs: usize) -> usize {
        2
    }
    fn encode(&self, targets: &[f64]) -> Vec<f64> {
        let row = |t: &[f64]| [t[0], t[1].ln(), special::ln_factorial(t[0])];
        targets.chunks_exact(2).flat_map(row).collect()
    }
    fn neg_log_likelihood<'g>(&self, outputs: Var<'g>, y: Var<'g>, _: Var<'g>) -> Var<'g> {
        let log_rate = outputs + y.slice(1, 1..2);
        (log_rate.exp() - y.slice(1, 0..1) * log_rate + y.slice(1, 2..3)).sum()
    }
    fn predictive(&self, outputs: &[f64], _: &[f64]) -> Predictive {
        let rate = outputs[0].exp(); // of an exposure of 1
        Predictive::Law(Law::Poisson { rate })
    }
    fn check(&self, _outputs: usize, targets: &[f64]) -> Result<()> {
        let mut rows = targets.chunks_exact(2);
        let all = rows.all(|t| t[0] >= 0.0 && t[1] > 0.0);
        all.then_some(())
            .ok_or(Error::data("a count or an exposure is negative"))
    }
}
/// Every parameter is `N(0, 1/4)`.
struct Narrow;
impl Prior for Narrow {
    fn neg_log_density<'g>(&self, theta: Var<'g>, layout: &ParamLayout) -> Var<'g> {
        let constant = layout.len() as f64 * 0.5 * std::f64::consts::FRAC_PI_2.ln();
        theta.square().sum() * 2.0 + constant
    }
    fn precision(&self, layout: &ParamLayout) -> Vec<f64> {
        vec![4.0; layout.len()]
    }
}
fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let inner = Mlp::new(&[2, 8, 1], Activation::Tanh)?;
    let network = Mapped::new(1, |x| x.graph().concat(1, &[x, x.square()]), inner);
    check_linear_head(&network, &CheckOptions::default())?;
    let model = Model::with_head("claims", network, Claims, Narrow);
    let x: Vec<f64> = (0..60).map(|i| f64::from(i) / 30.0 - 1.0).collect();
    let count_and_exposure = |x: &f64| [(3.0 * (1.0 + x).exp()).round(), 3.0];
    let y: Vec<f64> = x.iter().flat_map(count_and_exposure).collect();
    check_likelihood(&Claims, 1, &y, &LikelihoodOptions::default())?;
    check_prior(&Narrow, model.network().layout(), &CheckOptions::default())?;
    let options = FitOptions::of(Method::Atlas);
    let fitted = fit_model::<f32>(&model, &x, &y, &options, &())?;
    let path = std::env::temp_dir().join("claims.fw");
    fitted.model.save(&path)?;
    let predictor = AnyModel::load_with(&path, &model)?.predictor(256, 0)?;
    println!("{:?}", predictor.row(&[0.5])?); // the rate is e^1.5 = 4.5
    Ok(())
}
