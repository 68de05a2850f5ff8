//! From arguments to the settings of a fit.
//!
//! Some options are for some methods only. Each of them is an [`Own`]: it knows its place in the
//! settings of the methods that have it. Where no method has it, it is refused by name.

use std::fmt::Display;

use fiberwalk::pipeline::{
    FitOptions, KernelKind, KernelOptions, Method, MethodOptions, MicrocanonicalSettings,
    PriorChoice, WalkSettings,
};
use fiberwalk::{Error, Result};

use crate::args::Settings;
use crate::prior::Prior;
use crate::values::{Auto, Hidden};

/// An option that was given and that is for some methods only.
pub struct Own {
    name: &'static str,
    value: String,
    /// Sets it; false if the method does not have it.
    set: Box<dyn Fn(&mut MethodOptions) -> bool>,
}

/// The place of a setting in a method that has it.
pub type Place<F> = fn(&mut MethodOptions) -> Option<&mut F>;

impl Own {
    /// An option, if it was given. `write` turns its value into what stands in its place.
    pub fn given<V: Display, F: Clone + 'static>(
        name: &'static str,
        value: Option<V>,
        write: impl FnOnce(V) -> F,
        place: Place<F>,
    ) -> Option<Self> {
        let value = value?;
        let shown = value.to_string();
        let written = write(value);
        Some(Self {
            name,
            value: shown,
            set: Box::new(move |method| match place(method) {
                Some(place) => {
                    *place = written.clone();
                    true
                }
                None => false,
            }),
        })
    }

    /// Gives it to the methods that have it. Some method must, unless it is `taken` already.
    fn give(&self, methods: &mut [MethodOptions], mut taken: bool) -> Result<()> {
        for method in &mut *methods {
            taken |= (self.set)(method);
        }
        match taken {
            true => Ok(()),
            false => Err(self.refused(methods)),
        }
    }

    /// Says which methods have this option, and that the given ones do not.
    fn refused(&self, methods: &[MethodOptions]) -> Error {
        let has = |method: &Method| (self.set)(&mut MethodOptions::of(*method));
        let given = methods.iter().map(MethodOptions::method);
        let requirement = match methods.iter().find(|m| has(&m.method())) {
            // with its default kernel the method has it
            Some(method) => {
                let kernel = method.walk().map(|walk| walk.kernel.kind());
                let kernel = kernel.map_or("another", KernelKind::name);
                format!("is for the kernel microcanonical, not for {kernel}")
            }
            None => {
                let all: Vec<Method> = Method::ALL.into_iter().filter(has).collect();
                let plural = if all.len() == 1 { "" } else { "s" };
                let not = listed(&given.collect::<Vec<_>>(), "or");
                format!(
                    "is for method{plural} {}, not for {not}",
                    listed(&all, "and")
                )
            }
        };
        Error::Config {
            field: self.name,
            value: self.value.clone(),
            requirement,
        }
    }
}

/// `a, b and c`.
fn listed(methods: &[Method], last: &str) -> String {
    let names: Vec<&str> = methods.iter().map(|m| m.name()).collect();
    match names.split_last() {
        Some((end, rest)) if !rest.is_empty() => format!("{} {last} {end}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// The settings of a microcanonical kernel, if the method walks with one.
fn microcanonical(method: &mut MethodOptions) -> Option<&mut MicrocanonicalSettings> {
    method.walk_mut()?.kernel.microcanonical_mut()
}

/// A flag, if it was set.
fn flag(set: bool) -> Option<bool> {
    set.then_some(true)
}

/// The value of an option is what stands in its place.
pub fn as_is<V>(value: V) -> V {
    value
}

impl Settings {
    /// The options of a walk that were given. The kernel comes first: others are settings of it.
    fn of_walks(&self) -> impl Iterator<Item = Own> {
        let all = [
            Own::given("--kernel", self.kernel, KernelOptions::from, |m| {
                Some(&mut m.walk_mut()?.kernel)
            }),
            Own::given("--step-size", self.step_size, Auto::value, |m| match m {
                MethodOptions::Auto(auto) => Some(&mut auto.step_size),
                _ => Some(&mut microcanonical(m)?.step_size),
            }),
            Own::given(
                "--decoherence-length",
                self.decoherence_length,
                Auto::value,
                |m| match m {
                    MethodOptions::Auto(auto) => Some(&mut auto.decoherence_length),
                    _ => Some(&mut microcanonical(m)?.decoherence_length),
                },
            ),
            Own::given("--adjusted", flag(self.adjusted), as_is, |m| match m {
                MethodOptions::Auto(auto) => Some(&mut auto.adjusted),
                _ => Some(&mut microcanonical(m)?.adjusted),
            }),
            Own::given("--walk-batch", self.walk_batch, Some, |m| {
                Some(&mut microcanonical(m)?.walk_batch)
            }),
            Own::given("--starts", self.starts, as_is, |m| {
                Some(&mut m.walk_mut()?.starts)
            }),
            Own::given("--particles", self.particles, Some, |m| match m {
                MethodOptions::Auto(auto) => Some(&mut auto.particles),
                _ => Some(&mut m.walk_mut()?.particles),
            }),
            Own::given("--steps", self.steps, Auto::value, |m| match m {
                MethodOptions::Auto(auto) => Some(&mut auto.steps),
                _ => Some(&mut m.walk_mut()?.steps),
            }),
            Own::given("--max-seconds", self.max_seconds, Some, |m| match m {
                MethodOptions::Auto(auto) => Some(&mut auto.max_seconds),
                MethodOptions::Hmc(chains)
                | MethodOptions::Nuts(chains)
                | MethodOptions::Sgld(chains) => Some(&mut chains.max_seconds),
                _ => Some(&mut m.walk_mut()?.max_seconds),
            }),
            Own::given("--bracket", self.bracket, Some, |m| {
                Some(&mut m.walk_mut()?.bracket)
            }),
            Own::given("--max-memory", self.max_memory, Some, |m| match m {
                MethodOptions::Auto(auto) => Some(&mut auto.max_memory),
                _ => Some(&mut m.walk_mut()?.max_memory),
            }),
        ];
        all.into_iter().flatten()
    }

    /// The options of a deformation that were given.
    fn of_deformations(&self) -> impl Iterator<Item = Own> {
        let all = [
            Own::given("--flow", self.flow, as_is, |m| match m {
                MethodOptions::Flow(flow) => Some(&mut flow.flow),
                _ => None,
            }),
            Own::given("--layers", self.layers, Some, |m| match m {
                MethodOptions::Flow(flow) => Some(&mut flow.layers),
                _ => None,
            }),
            Own::given("--recombine", flag(self.recombine), as_is, |m| match m {
                MethodOptions::Atlas(atlas) => Some(&mut atlas.recombine),
                _ => None,
            }),
        ];
        all.into_iter().flatten()
    }

    /// Gives the options, `more` ones included, to the methods that have them. With `--hidden
    /// auto`, the walks that choose take those of a walk, and are returned. If the fits are
    /// `scored`, the scores take `--samples`.
    ///
    /// # Errors
    /// If nobody has an option that was given.
    pub fn give(
        &self,
        methods: &mut [MethodOptions],
        scored: bool,
        more: impl IntoIterator<Item = Own>,
    ) -> Result<Option<WalkSettings>> {
        if let (Some(activation), Hidden::Widths(widths)) = (self.activation, &self.hidden)
            && widths.is_empty()
        {
            let requirement = "is for hidden layers, and --hidden is none";
            return Err(Error::config(
                "--activation",
                activation.name(),
                requirement,
            ));
        }
        let mut chooser = match self.hidden {
            Hidden::Auto => Some(MethodOptions::of(Method::Walk)),
            Hidden::Widths(_) => None,
        };
        for own in self.of_walks() {
            let taken = chooser.as_mut().is_some_and(|walk| (own.set)(walk));
            own.give(methods, taken)?;
        }
        let samples = Own::given("--samples", self.samples, as_is, MethodOptions::samples_mut);
        if let Some(own) = samples {
            let taken = chooser.as_mut().is_some_and(|walk| (own.set)(walk));
            own.give(methods, taken || scored)?;
        }
        for own in self.of_deformations().chain(more) {
            own.give(methods, false)?;
        }
        Ok(chooser.and_then(|walk| walk.walk().copied()))
    }

    /// The settings of a fit by one method, with those that all methods have.
    pub fn options(
        &self,
        method: MethodOptions,
        choose_hidden: Option<WalkSettings>,
    ) -> FitOptions {
        FitOptions {
            layers: self.conv.clone(),
            hidden: match &self.hidden {
                Hidden::Widths(widths) => widths.clone(),
                Hidden::Auto => FitOptions::default().hidden,
            },
            choose_hidden,
            activation: self.activation.unwrap_or(FitOptions::default().activation),
            likelihood: self.likelihood,
            class_weights: self.class_weights,
            feature_transform: self.feature_transform,
            target_transform: self.target_transform,
            prior: match self.prior {
                Prior::Choice(choice) => choice,
                Prior::Precision(_) => PriorChoice::Auto,
            },
            prior_precision: match self.prior {
                Prior::Precision(alpha) => Some(alpha),
                Prior::Choice(_) => self.prior_precision.value(),
            },
            noise_std: self.noise_std.value(),
            batch: self.batch.0,
            epochs: self.epochs,
            method,
            calibration: None,
            seed: self.seed,
        }
    }
}
