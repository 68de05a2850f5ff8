//! Layers, networks, priors and bijections: what is recorded in a graph.

use rand::Rng;

use super::{passes, rejected};
use crate::autodiff::Var;
use crate::deform::Bijection;
use crate::error::Result;
use crate::model::Prior;
use crate::nn::{Activation, Init, Layer, LinearHead, Mlp, Network, ParamLayout, ParamSpec};
use crate::rng::fill_normal;
use crate::testing::*;

/// Multiplies every feature by its own factor, or commits a fault.
#[derive(Clone, Copy, PartialEq)]
enum Gain {
    Right,
    /// Subtracts the mean over the rows first, as batch normalisation does.
    Centred,
    /// Says that it has one more output than it has.
    LongShape,
    /// Two tensors of one name.
    SameName,
    /// The logarithm of the input, which is not finite for negative inputs.
    Logarithm,
}

impl Layer for Gain {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let extra = usize::from(*self == Gain::LongShape);
        Ok(input.iter().map(|d| d + extra).collect())
    }
    fn params(&self, input: &[usize]) -> Vec<ParamSpec> {
        let init = Init::Constant(1.0);
        let gain = ParamSpec {
            name: "gain",
            shape: input.to_vec(),
            fan_in: 1,
            init,
        };
        vec![gain; 1 + usize::from(*self == Gain::SameName)]
    }
    fn forward<'g>(&self, params: &[Var<'g>], x: Var<'g>) -> Var<'g> {
        let rows = x.shape()[0] as f64;
        match self {
            Gain::Centred => (x - x.sum_axis(0) * (1.0 / rows)) * params[0],
            Gain::Logarithm => x.ln() * params[0],
            _ => x * params[0],
        }
    }
}

#[test]
fn layers() {
    let check = |layer| check_layer(&layer, &[3], &CheckOptions::default());
    passes(check(Gain::Right));
    let row = "check_layer: a row in a block against the same row alone: output[0] of row 0 is";
    let failure = rejected(
        check(Gain::Centred),
        &[row, "expected 0", "off by", "4500 roundings"],
    );
    // it replays from its seed alone
    let again = CheckOptions {
        seed: failure.seed,
        cases: 1,
        ..CheckOptions::default()
    };
    assert_eq!(
        check_layer(&Gain::Centred, &[3], &again).unwrap_err(),
        failure
    );
    let words = ["the shape of the result", "got [3, 3], expected [3, 4]"];
    rejected(check(Gain::LongShape), &words);
    rejected(check(Gain::SameName), &["names of parameters", "'gain'"]);
    rejected(
        check(Gain::Logarithm),
        &["the value", "NaN in output[", "of row"],
    );
}

/// A perceptron with a fault.
struct Faulty {
    net: Mlp,
    fault: &'static str,
}

impl Network for Faulty {
    fn input_dim(&self) -> usize {
        self.net.input_dim()
    }
    fn output_dim(&self) -> usize {
        self.net.output_dim()
    }
    fn layout(&self) -> &ParamLayout {
        self.net.layout()
    }
    fn forward<'g>(&self, theta: Var<'g>, x: Var<'g>) -> Var<'g> {
        let y = self.net.forward(theta, x);
        match self.fault {
            "transposed" => y.t(),
            "coupled" => y + x.sum(),
            _ => y,
        }
    }
    fn init(&self, rng: &mut dyn Rng) -> Vec<f64> {
        let mut theta = self.net.init(rng);
        if self.fault == "short" {
            theta.pop();
        }
        theta
    }
}

impl LinearHead for Faulty {
    fn hidden_params(&self) -> usize {
        self.net.hidden_params() + usize::from(self.fault == "late")
    }
    fn features(&self) -> usize {
        self.net.features()
    }
    fn feature_map<'g>(&self, theta_h: Var<'g>, x: Var<'g>) -> Var<'g> {
        let phi = self.net.feature_map(theta_h, x);
        if self.fault == "doubled" {
            phi * 2.0
        } else {
            phi
        }
    }
}

#[test]
fn networks_and_heads() {
    let check = |fault| {
        let net = Mlp::new(&[2, 4, 3], Activation::Tanh).unwrap();
        let options = CheckOptions {
            rows: 2,
            ..CheckOptions::default()
        };
        check_linear_head(&Faulty { net, fault }, &options)
    };
    passes(check("none"));
    rejected(check("transposed"), &["got [3, 2], expected [2, 3]"]);
    let words = ["check_network: a row in a block", "output[0] of row 0"];
    rejected(check("coupled"), &words);
    let words = ["initial parameters", "got [26], expected [27]"];
    rejected(check("short"), &words);
    rejected(check("late"), &["the linear head", "got [27]", "[28]"]);
    let words = ["check_linear_head: phi W + b against forward", "output[0]"];
    rejected(check("doubled"), &words);
    // every activation, with a kink too
    for activation in Activation::ALL {
        let net = Mlp::new(&[3, 5, 4, 1], activation).unwrap();
        passes(check_linear_head(&net, &CheckOptions::default()));
    }
}

/// `p(t) = 1 / (4 cosh(t / 2)^2)` for every parameter; curvature 1/2 at its mode.
struct Logistic {
    precision: f64,
    constant: f64,
}

impl Prior for Logistic {
    fn neg_log_density<'g>(&self, theta: Var<'g>, _: &ParamLayout) -> Var<'g> {
        (theta + (-theta).softplus() * 2.0).sum() + self.constant
    }
    fn precision(&self, layout: &ParamLayout) -> Vec<f64> {
        vec![self.precision; layout.len()]
    }
}

#[test]
fn priors() {
    let check = |sizes: &[usize], precision, constant| {
        let net = Mlp::new(sizes, Activation::Tanh).unwrap();
        let prior = Logistic {
            precision,
            constant,
        };
        check_prior(&prior, net.layout(), &CheckOptions::default())
    };
    for sizes in [&[1, 1][..], &[2, 3, 2]] {
        passes(check(sizes, 0.5, 0.0));
        let words = [
            "precision against the Hessian at the mode: layer0.weight[0, 0] is 1.0",
            "expected 5.0",
            "1e-6 of the curvature",
        ];
        rejected(check(sizes, 1.0, 0.0), &words);
        rejected(check(sizes, -1.0, 0.0), &["precision", "-1 in layer0"]);
    }
    // a constant is seen where the integral is computed: it is then e^{-0.1}
    let words = ["normalisation", "the integral of the density is 9.048"];
    rejected(check(&[1, 1], 0.5, 0.1), &words);
    passes(check(&[2, 2], 0.5, 0.1));
}

/// `y = sinh z`, or with a fault in one of the four values.
struct Sinh(&'static str);

impl Bijection for Sinh {
    fn dim(&self) -> usize {
        3
    }
    fn param_count(&self) -> usize {
        0
    }
    fn init(&self, _: &mut dyn Rng) -> Vec<f64> {
        Vec::new()
    }
    fn forward<'g>(&self, _: Var<'g>, z: Var<'g>) -> (Var<'g>, Var<'g>) {
        let (up, down) = (z.exp(), (-z).exp());
        let cosh = (up + down) * 0.5;
        // without a half in every factor the log-determinant misses 3 log 2
        let volume = if self.0 == "factor" { up + down } else { cosh };
        ((up - down) * 0.5, volume.ln().sum_axis(1))
    }
    fn inverse<'g>(&self, _: Var<'g>, y: Var<'g>) -> (Var<'g>, Var<'g>) {
        let cosh = (y.square() + 1.0).sqrt();
        let log_det = cosh.ln().sum_axis(1);
        let z = (y + cosh).ln();
        match self.0 {
            "sign" => (z, log_det),
            "inverse" => (z * 1.001, -log_det),
            _ => (z, -log_det),
        }
    }
}

#[test]
fn bijections() {
    let check = |fault, context| {
        let options = BijectionOptions {
            context,
            ..BijectionOptions::default()
        };
        check_bijection(&Sinh(fault), &options)
    };
    // the logarithm of y + cosh loses digits for y < 0: e^-6 of |y| up to 200
    passes(check("none", 0));
    let words = [
        "the log-determinant of forward against the dense Jacobian",
        "log-determinant of row 0",
        // 3 log 2
        "off by 2.079e0",
    ];
    rejected(check("factor", 0), &words);
    let words = ["the log-determinant of inverse against that of forward"];
    rejected(check("sign", 0), &words);
    let words = ["inverse(forward(z)) against z", "T^-1(T(z))[0] of row 0"];
    rejected(check("inverse", 0), &words);
    rejected(check("none", 1), &["the context", "T(z)[0] of row 0"]);
}

/// A kink within the first difference is stepped around; a wrong slope is not.
#[test]
fn kinks_are_told_from_wrong_derivatives() {
    use crate::testing::checker::Checker;
    use crate::testing::differences::compare;
    let checker = Checker {
        check: "kink",
        seed: 0,
    };
    let rounding = (f64::EPSILON, 1.0);
    let run = |slope: f64, kink: f64| {
        compare(
            checker,
            "slope",
            rounding,
            |_| Place::default(),
            &[slope],
            |t| Ok(vec![(t + kink).max(0.0)]),
        )
    };
    // h = 7.6e-6 steps over it, h / 8 does not
    passes(run(1.0, 3e-6));
    passes(run(0.0, -3e-6));
    rejected(run(0.5, 3e-6), &["central differences"]);
    rejected(run(1.0 + 1e-5, 1.0), &["off by 1.000e-5"]);
    let mut points = vec![0.0f64; 100];
    fill_normal(&mut checker.rng(0), &mut points);
    for x in points {
        passes(compare(
            checker,
            "sin",
            rounding,
            |_| Place::default(),
            &[x.cos()],
            |t| Ok(vec![(x + t).sin()]),
        ));
    }
}
