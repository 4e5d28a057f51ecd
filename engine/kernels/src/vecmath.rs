//! exp and erf of whole vectors, with error bounds that the tests hold them to.
//!
//! The coefficients are least-maximum fits (Lawson's iteration) made for these intervals.

#![allow(unsafe_code)]

use super::cpu::Isa;
use super::lanes::{Kernel, Lanes, dispatch};

/// e^x within 3e-7 of its value, for x in [-87, 88]; below, e^-87 (1.6e-38), above, e^88.
///
/// e^x = 2^n e^r with n whole and |r| <= ln(2)/2, where e^r = 1 + r + r^2 p(r), p of degree 4.
#[inline(always)]
pub(crate) fn exp<L: Lanes>(l: L, x: L::V) -> L::V {
    // ln(2) in two parts: n times the first is exact.
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = l.min(l.max(x, l.splat(-87.0)), l.splat(88.0));
    let n = l.round(l.mul(x, l.splat(std::f32::consts::LOG2_E)));
    let r = l.mul_add(n, l.splat(-LN2_HIGH), x);
    let r = l.mul_add(n, l.splat(-LN2_LOW), r);
    let mut p = l.splat(0.001_381_454);
    for c in [0.008_368_745, 0.041_668_39, 0.166_665_21, 0.499_999_94] {
        p = l.mul_add(p, r, l.splat(c));
    }
    let e = l.mul_add(l.mul(r, r), p, l.add(r, l.splat(1.0)));
    l.scale(e, n)
}

/// 2^x within 8e-5 of its value, a twentieth of what a bf16 errs by, for x from -120 to 126; below, that of -120.
///
/// 2^x = 2^n 2^r with n whole and |r| <= 1/2, where 2^r is a polynomial of degree 3.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn exp2_for_bf16<L: Lanes>(l: L, x: L::V) -> L::V {
    // Not so little that sums of such are subnormal, which some processors take many times as long for.
    let x = l.max(x, l.splat(-120.0));
    let n = l.round(x);
    let r = l.sub(x, n);
    let mut p = l.splat(0.055_171_69);
    for c in [0.242_611_37, 0.693_261, 0.999_928_06] {
        p = l.mul_add(p, r, l.splat(c));
    }
    l.scale(p, n)
}

/// erf(x) within 5e-7 of its value, at most 1 in magnitude.
///
/// x P(x^2) / Q(x^2), both of degree 5, for |x| <= 3.92; beyond, erf is 1 in f32.
#[inline(always)]
pub(crate) fn erf<L: Lanes>(l: L, x: L::V) -> L::V {
    let x = l.min(l.max(x, l.splat(-3.92)), l.splat(3.92));
    let t = l.mul(x, x);
    let mut p = l.splat(2.050_086_8e-6);
    for c in [2.848_835_7e-4, 0.003_765_642_2, 0.052_748_803, 0.190_407_02, std::f32::consts::FRAC_2_SQRT_PI]
    {
        p = l.mul_add(p, t, l.splat(c));
    }
    let mut q = l.splat(3.809_175_4e-5);
    for c in [0.001_162_542_1, 0.014_969_267, 0.114_109_345, 0.502_076_57, 1.0] {
        q = l.mul_add(q, t, l.splat(c));
    }
    let erf = l.div(l.mul(x, p), q);
    l.min(l.max(erf, l.splat(-1.0)), l.splat(1.0))
}

/// A function of one value, for whole vectors.
///
/// A trait and not a closure: a closure is compiled without the instructions of the function that it
/// stands in, unless the compiler happens to inline it.
pub(crate) trait Function {
    /// The value for each lane. Implementations are `#[inline(always)]`.
    fn of<L: Lanes>(l: L, x: L::V) -> L::V;
}

/// Replaces every value by `F` of it.
#[inline(always)]
pub(crate) fn map_in_place<L: Lanes, F: Function>(l: L, values: &mut [f32]) {
    let mut chunks = values.chunks_exact_mut(L::LEN);
    for chunk in &mut chunks {
        // SAFETY: a chunk is a vector long.
        unsafe { l.store(chunk.as_mut_ptr(), F::of(l, l.load(chunk.as_ptr()))) }
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        // SAFETY: no more lanes are touched than `rest` has.
        unsafe {
            let v = F::of(l, l.load_first(rest.as_ptr(), rest.len(), 0.0));
            l.store_first(rest.as_mut_ptr(), v, rest.len());
        }
    }
}

/// Compiles [`map_in_place`] for each instruction set.
pub(super) struct Map<'a, F> {
    pub values: &'a mut [f32],
    pub function: std::marker::PhantomData<F>,
}

impl<F: Function> Kernel for Map<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        map_in_place::<L, F>(l, self.values);
    }
}

/// Replaces every value x with e^x: see the module for the bound.
pub fn exp_in_place(isa: Isa, values: &mut [f32]) {
    struct Exp;
    impl Function for Exp {
        #[inline(always)]
        fn of<L: Lanes>(l: L, x: L::V) -> L::V {
            exp(l, x)
        }
    }
    let function = std::marker::PhantomData::<Exp>;
    dispatch(isa, Map { values, function });
}

/// Replaces every value x with erf(x): see the module for the bound.
pub fn erf_in_place(isa: Isa, values: &mut [f32]) {
    struct Erf;
    impl Function for Erf {
        #[inline(always)]
        fn of<L: Lanes>(l: L, x: L::V) -> L::V {
            erf(l, x)
        }
    }
    let function = std::marker::PhantomData::<Erf>;
    dispatch(isa, Map { values, function });
}

/// erf in double precision: its Maclaurin series, or the continued fraction of erfc for large x.
///
/// The tests compare the kernels of every instruction set with it.
pub fn erf_reference(x: f64) -> f64 {
    let a = x.abs();
    if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for n in 1..200 {
            let n = f64::from(n);
            term *= -a * a / n;
            sum += term / (2.0 * n + 1.0);
        }
        (2.0 / std::f64::consts::PI.sqrt() * sum).copysign(x)
    } else {
        let mut tail = 0.0;
        for n in (1..200).rev() {
            tail = f64::from(n) / 2.0 / (a + tail);
        }
        (1.0 - (-a * a).exp() / std::f64::consts::PI.sqrt() / (a + tail)).copysign(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(from: f32, to: f32) -> Vec<f32> {
        let n = 400_003; // not a whole number of vectors
        (0..n).map(|i| from + (to - from) * i as f32 / (n - 1) as f32).collect()
    }

    #[test]
    fn exp_is_within_its_stated_bound_on_every_instruction_set() {
        for isa in Isa::available() {
            let x = sweep(-87.0, 88.0);
            let mut y = x.clone();
            exp_in_place(isa, &mut y);
            for (x, y) in x.iter().zip(&y) {
                let exact = f64::from(*x).exp();
                let error = ((f64::from(*y) - exact) / exact).abs();
                assert!(error < 3e-7, "{isa:?}: exp({x}) = {y}, off by {error:e}");
            }
            let mut beyond = [-1e30, f32::NEG_INFINITY, -88.0];
            exp_in_place(isa, &mut beyond);
            assert!(beyond.iter().all(|&y| (0.0..2e-38).contains(&y)), "{isa:?}: {beyond:?}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_coarse_power_of_two_is_within_its_stated_bound_on_every_instruction_set() {
        struct Power;
        impl Function for Power {
            #[inline(always)]
            fn of<L: Lanes>(l: L, x: L::V) -> L::V {
                exp2_for_bf16(l, x)
            }
        }
        for isa in Isa::available() {
            let x = sweep(-120.0, 126.0);
            let mut y = x.clone();
            dispatch(isa, Map { values: &mut y, function: std::marker::PhantomData::<Power> });
            for (x, y) in x.iter().zip(&y) {
                let error = f64::from(*y) / f64::from(*x).exp2() - 1.0;
                assert!(error.abs() < 8e-5, "{isa:?}: 2^{x} = {y}, off by {error:e}");
            }
            let mut beyond = [f32::NEG_INFINITY, -1e30, -127.0];
            dispatch(isa, Map { values: &mut beyond, function: std::marker::PhantomData::<Power> });
            assert!(beyond.iter().all(|&y| (0.0..1e-36).contains(&y)), "{isa:?}: {beyond:?}");
        }
    }

    #[test]
    fn erf_is_within_its_stated_bound_on_every_instruction_set() {
        assert!((erf_reference(0.5) - 0.520_499_877_813_046_5).abs() < 1e-15);
        assert!((erf_reference(-3.5) + 0.999_999_256_901_627_7).abs() < 1e-15);
        for isa in Isa::available() {
            let x = sweep(-6.0, 6.0);
            let mut y = x.clone();
            erf_in_place(isa, &mut y);
            for (x, y) in x.iter().zip(&y) {
                let exact = erf_reference(f64::from(*x));
                let error = (f64::from(*y) - exact).abs();
                assert!(error <= 5e-7 * exact.abs(), "{isa:?}: erf({x}) = {y}, off by {error:e}");
            }
        }
    }
}
