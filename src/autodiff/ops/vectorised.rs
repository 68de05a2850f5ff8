//! Loops of a program for [`simd::dispatch`]: each is compiled once for every instruction set.

use super::{
    SumPlan, log_sum_exp, log_sum_exp_columns, pick_columns, shift, shift_columns, sum_all, sum_to,
    unpick_columns,
};
use crate::scalar::Scalar;
use crate::simd;

pub(crate) struct SumAll<'a, T>(pub &'a [T]);

impl<T: Scalar> simd::Vectorised for SumAll<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        sum_all(self.0)
    }
}

pub(crate) struct PickColumns<'a, T> {
    pub src: &'a [T],
    pub labels: &'a [T],
    pub back: bool,
    pub out: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for PickColumns<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        if self.back {
            unpick_columns(self.src, self.labels, self.out);
        } else {
            pick_columns(self.src, self.labels, self.out);
        }
    }
}

pub(crate) struct SumTo<'a, T> {
    pub plan: &'a SumPlan,
    pub src: &'a [T],
    pub out: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for SumTo<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        sum_to(self.plan, self.src, self.out);
    }
}

pub(crate) struct Shift<'a, T> {
    pub k: usize,
    pub inner: usize,
    pub src: &'a [T],
    pub out: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for Shift<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        match self.inner {
            1 => shift(self.src, self.k, self.out),
            inner => shift_columns(self.src, self.k, inner, self.out),
        }
    }
}

pub(crate) struct LogSumExp<'a, T> {
    pub k: usize,
    pub inner: usize,
    pub src: &'a [T],
    pub shift: &'a [T],
    pub out: &'a mut [T],
}

impl<T: Scalar> simd::Vectorised for LogSumExp<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        match self.inner {
            1 => log_sum_exp(self.src, self.shift, self.k, self.out),
            inner => log_sum_exp_columns(self.src, self.shift, self.k, inner, self.out),
        }
    }
}
