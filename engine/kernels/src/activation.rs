//! The functions between the two products of a feed-forward network.

#![allow(unsafe_code)]

use super::cpu::Isa;
use super::gelu::Gelu;
use super::lanes::{Kernel, Lanes, dispatch};
use super::vecmath::{Function, exp, map_in_place};

/// A function that is applied to every inner value of a feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x Φ(x), by erf (Hendrycks & Gimpel 2016): `gelu`.
    Gelu,
    /// Its likeness by tanh: `gelu_new`, `gelu_pytorch_tanh`.
    GeluTanh,
    /// max(x, 0): `relu`.
    Relu,
    /// x / (1 + e^-x): `silu`, `swish`.
    Silu,
}

impl Activation {
    /// Replaces every value x by f(x).
    pub fn apply(self, isa: Isa, values: &mut [f32]) {
        dispatch(isa, Apply { activation: self, values });
    }

    /// Of each row of `values`, `[rows, 2 * width]`, writes f(gate) * value to `out`, `[rows, width]`: the gates are the
    /// first half of a row, and the values that they let through the second (Shazeer 2020).
    ///
    /// # Panics
    /// If the lengths do not fit one another.
    pub fn gate(self, isa: Isa, values: &[f32], width: usize, out: &mut [f32]) {
        assert!(width > 0 && out.len().is_multiple_of(width), "whole rows");
        assert_eq!(values.len(), 2 * out.len(), "a gate for each value");
        dispatch(isa, Gate { activation: self, values, width, out });
    }

    /// [`Activation::apply`] within a kernel.
    #[inline(always)]
    pub(crate) fn map<L: Lanes>(self, l: L, values: &mut [f32]) {
        match self {
            Self::Gelu => map_in_place::<L, Gelu>(l, values),
            Self::GeluTanh => map_in_place::<L, GeluTanh>(l, values),
            Self::Relu => map_in_place::<L, Relu>(l, values),
            Self::Silu => map_in_place::<L, Silu>(l, values),
        }
    }
}

struct GeluTanh;

impl Function for GeluTanh {
    #[inline(always)]
    fn of<L: Lanes>(l: L, x: L::V) -> L::V {
        // (1 + tanh u) / 2 = 1 / (1 + e^-2u), with u = sqrt(2 / π) (x + 0.044715 x^3).
        const FIRST: f32 = -1.595_769;
        const THIRD: f32 = -0.071_354_814;
        let square = l.mul(x, x);
        let twice = l.mul(x, l.mul_add(square, l.splat(THIRD), l.splat(FIRST)));
        l.div(x, l.add(l.splat(1.0), exp(l, twice)))
    }
}

struct Relu;

impl Function for Relu {
    #[inline(always)]
    fn of<L: Lanes>(l: L, x: L::V) -> L::V {
        // What is not a number stays so: x is the second operand.
        l.max(l.splat(0.0), x)
    }
}

struct Silu;

impl Function for Silu {
    #[inline(always)]
    fn of<L: Lanes>(l: L, x: L::V) -> L::V {
        l.div(x, l.add(l.splat(1.0), exp(l, l.sub(l.splat(0.0), x))))
    }
}

struct Apply<'a> {
    activation: Activation,
    values: &'a mut [f32],
}

impl Kernel for Apply<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        self.activation.map(l, self.values);
    }
}

struct Gate<'a> {
    activation: Activation,
    values: &'a [f32],
    width: usize,
    out: &'a mut [f32],
}

impl Kernel for Gate<'_> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let rows = self.values.chunks_exact(2 * self.width).zip(self.out.chunks_exact_mut(self.width));
        for (row, out) in rows {
            let (gates, values) = row.split_at(self.width);
            out.copy_from_slice(gates);
            self.activation.map(l, out);
            out.iter_mut().zip(values).for_each(|(out, value)| *out *= value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vecmath::erf_reference;
    use proptest::prelude::*;

    const ALL: [Activation; 4] = [Activation::Gelu, Activation::GeluTanh, Activation::Relu, Activation::Silu];

    /// The scalar twin, in double precision.
    fn twin(activation: Activation, x: f64) -> f64 {
        let tanh = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
        match activation {
            Activation::Gelu => x * 0.5 * (1.0 + erf_reference(x / 2f64.sqrt())),
            Activation::GeluTanh => x * 0.5 * (1.0 + tanh.tanh()),
            Activation::Relu => x.max(0.0),
            Activation::Silu => x / (1.0 + (-x).exp()),
        }
    }

    #[test]
    fn each_activation_is_that_of_its_scalar_twin() {
        for (isa, activation) in Isa::available().flat_map(|isa| ALL.map(|activation| (isa, activation))) {
            let x: Vec<f32> = (-40_001..=40_000).map(|i| i as f32 * 1e-3).collect();
            let mut y = x.clone();
            activation.apply(isa, &mut y);
            for (x, y) in x.iter().zip(&y) {
                let exact = twin(activation, f64::from(*x));
                let error = (f64::from(*y) - exact).abs();
                assert!(error <= 2e-6 * f64::from(x.abs()).max(1.0), "{isa:?} {activation:?}({x}) = {y}");
            }
            let mut beyond = [f32::NAN, -1e20, 1e20];
            activation.apply(isa, &mut beyond);
            assert!(
                beyond[0].is_nan() && beyond[1].abs() < 1e-6 && beyond[2] == 1e20,
                "{isa:?} {activation:?} {beyond:?}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_gate_lets_through_what_its_scalar_twin_does(
            width in 1usize..40,
            values in prop::collection::vec(-6f32..6.0, 2 * 3 * 40),
        ) {
            let values = &values[..2 * 3 * width];
            for (isa, activation) in Isa::available().flat_map(|isa| ALL.map(|activation| (isa, activation))) {
                let mut out = vec![f32::NAN; 3 * width];
                activation.gate(isa, values, width, &mut out);
                for (at, y) in out.iter().enumerate() {
                    let row = &values[at / width * 2 * width..][..2 * width];
                    let (gate, value) = (f64::from(row[at % width]), f64::from(row[width + at % width]));
                    let exact = twin(activation, gate) * value;
                    prop_assert!((f64::from(*y) - exact).abs() < 1e-4, "{:?} {:?}: {} is not {}", isa, activation, y, exact);
                }
            }
        }
    }
}
