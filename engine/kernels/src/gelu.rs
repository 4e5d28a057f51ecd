//! The Gaussian error linear unit (Hendrycks & Gimpel 2016), by erf and not by its tanh likeness.

use super::cpu::Isa;
use super::lanes::{Lanes, dispatch};
use super::vecmath::{Function, Map, erf};

/// x Φ(x) = x (1 + erf(x / √2)) / 2, within 5e-7 max(1, |x|).
#[inline(always)]
pub(crate) fn gelu<L: Lanes>(l: L, x: L::V) -> L::V {
    if L::TABLES {
        return by_table(l, x);
    }
    let half = l.mul(x, l.splat(0.5));
    let erf = erf(l, l.mul(x, l.splat(std::f32::consts::FRAC_1_SQRT_2)));
    l.mul_add(half, erf, half)
}

/// What one step of the table covers.
const STEP: f32 = 0.1615;

/// x Φ(x) = max(x, 0) - g(|x|) with g(a) = a Φ(-a): for each step, about whose middle f counts from -1/2 to 1/2, a polynomial
/// in f of degree 3, the constant first. Least-maximum fits (Lawson's iteration); g is nothing from the last step on.
#[rustfmt::skip]
const TAIL: [[f32; 32]; 4] = [
    [
        -2.1972e-8, 7.038941e-2, 1.2059101e-1, 1.5214033e-1, 1.6740415e-1, 1.6932407e-1, 1.6111824e-1, 1.4598478e-1,
        1.268469e-1, 1.0616744e-1, 8.584606e-2, 6.7196734e-2, 5.0992005e-2, 3.7552614e-2, 2.6859874e-2, 1.8670367e-2,
        1.2617894e-2, 8.293968e-3, 5.3039906e-3, 3.3007066e-3, 1.9991922e-3, 1.1787193e-3, 6.7659334e-4, 3.7813807e-4,
        2.0578557e-4, 1.09056586e-4, 5.6284265e-5, 2.8290588e-5, 1.3849538e-5, 6.6036305e-6, 3.066888e-6, 0.0,
    ],
    [
        8.075141e-2, 6.0119282e-2, 4.0542822e-2, 2.2954624e-2, 8.068302e-3, -3.6871086e-3, -1.2187258e-2, -1.7589357e-2,
        -2.0274235e-2, -2.0767726e-2, -1.9656833e-2, -1.7514596e-2, -1.4843311e-2, -1.2040521e-2, -9.387234e-3, -7.054148e-3,
        -5.119804e-3, -3.5943587e-3, -2.4437062e-3, -1.6103674e-3, -1.0293375e-3, -6.3855125e-4, -3.846288e-4, -2.2504214e-4,
        -1.279388e-4, -7.069289e-5, -3.7973914e-5, -1.9834351e-5, -1.0075089e-5, -4.97787e-6, -2.392541e-6, 0.0,
    ],
    [
        -1.0419409e-2, -1.0125913e-2, -9.352443e-3, -8.160903e-3, -6.680571e-3, -5.062063e-3, -3.454926e-3, -1.9874827e-3,
        -7.5284904e-4, 1.9760613e-4, 8.531397e-4, 1.2365052e-3, 1.3932801e-3, 1.3802936e-3, 1.2553629e-3, 1.0697364e-3,
        8.63744e-4, 6.6542026e-4, 4.9134536e-4, 3.488468e-4, 2.3869258e-4, 1.5767e-4, 1.0068001e-4, 6.221242e-5,
        3.723205e-5, 2.1595439e-5, 1.2146754e-5, 6.6285634e-6, 3.5108792e-6, 1.8055124e-6, 9.0178577e-7, 0.0,
    ],
    [
        4.515223e-5, 1.7703435e-4, 3.338007e-4, 4.5343948e-4, 5.251624e-4, 5.456491e-4, 5.1877974e-4, 4.544378e-4,
        3.6587665e-4, 2.6721996e-4, 1.710963e-4, 8.701543e-5, 2.0637384e-5, -2.6121099e-5, -5.436636e-5, -6.719342e-5,
        -6.862173e-5, -6.270965e-5, -5.2958967e-5, -4.2013093e-5, -3.1608794e-5, -2.26906e-5, -1.5606007e-5, -1.0313974e-5,
        -6.5644604e-6, -4.030308e-6, -2.3900907e-6, -1.370519e-6, -7.6054243e-7, -4.0873192e-7, -2.1285788e-7, 0.0,
    ],
];

/// By a table in registers, and without a division.
#[inline(always)]
fn by_table<L: Lanes>(l: L, x: L::V) -> L::V {
    /// Next to this one, floats are whole numbers, and their lowest bits those of an integer.
    const WHOLE: f32 = 1.5 * (1 << 23) as f32;
    const LAST: f32 = 31.0;
    let zero = l.splat(0.0);
    let magnitude = l.max(x, l.sub(zero, x));
    let steps = l.min(l.mul(magnitude, l.splat(1.0 / STEP)), l.splat(LAST));
    let place = l.add(steps, l.splat(WHOLE));
    let f = l.sub(steps, l.sub(place, l.splat(WHOLE)));
    let mut tail = l.look_up(&TAIL[3], place);
    for coefficients in [&TAIL[2], &TAIL[1], &TAIL[0]] {
        tail = l.mul_add(tail, f, l.look_up(coefficients, place));
    }
    // What is not a number stays so: x is the second operand.
    l.sub(l.max(zero, x), tail)
}

/// [`gelu`] for whole slices.
pub(super) struct Gelu;

impl Function for Gelu {
    #[inline(always)]
    fn of<L: Lanes>(l: L, x: L::V) -> L::V {
        gelu(l, x)
    }
}

/// Replaces every value x with gelu(x), within 5e-7 max(1, |x|).
pub fn gelu_in_place(isa: Isa, values: &mut [f32]) {
    let function = std::marker::PhantomData::<Gelu>;
    dispatch(isa, Map { values, function });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vecmath::erf_reference;

    #[test]
    fn gelu_is_within_its_stated_bound_on_every_instruction_set() {
        for isa in Isa::available() {
            let x: Vec<f32> = (-120_001..=120_000).map(|i| i as f32 * 1e-3).collect();
            let mut y = x.clone();
            gelu_in_place(isa, &mut y);
            for (x, y) in x.iter().zip(&y) {
                let x = f64::from(*x);
                let exact = x * 0.5 * (1.0 + erf_reference(x / 2f64.sqrt()));
                let error = (f64::from(*y) - exact).abs();
                assert!(error <= 5e-7 * x.abs().max(1.0), "{isa:?}: gelu({x}) = {y}, {error:e}");
            }
            let mut beyond = [f32::NAN, -1e30, 1e30, f32::INFINITY];
            gelu_in_place(isa, &mut beyond);
            assert!(beyond[0].is_nan() && beyond[1] == 0.0, "{isa:?}: {beyond:?}");
            assert_eq!(beyond[2..], [1e30, f32::INFINITY], "{isa:?}");
        }
    }
}
