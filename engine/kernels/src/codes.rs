//! Numbers become codes of 8 bits: the first half of a search over codes, `dot_i8` being the other.

use super::ZERO_CODE;
use super::cpu::{Isa, isa};
use super::lanes::{Kernel, Lanes, dispatch};

/// Makes `codes` those of `values`: each times `factor`, rounded to the nearest integer, as a byte whose zero is
/// [`ZERO_CODE`]. What is not finite counts as zero. Returns the sum of the squares of the integers.
///
/// The products lie within -128 and 127, or the codes mean nothing.
///
/// # Panics
/// If there are not as many codes as values.
pub fn encode(values: &[f32], factor: f32, codes: &mut [u8]) -> i32 {
    encode_on(isa(), values, factor, codes)
}

fn encode_on(isa: Isa, values: &[f32], factor: f32, codes: &mut [u8]) -> i32 {
    assert_eq!(values.len(), codes.len(), "a code for each value");
    dispatch(isa, Encode { values, factor, codes })
}

/// The integer nearest to `value * factor`, of two equally near ones the even one.
#[inline(always)]
pub fn code(value: f32, factor: f32) -> i8 {
    /// Next to this one, floats are whole numbers, and their lowest byte is that of an integer.
    const WHOLE: f32 = 1.5 * (1 << 23) as f32;
    let scaled = if value.is_finite() { value * factor } else { 0.0 };
    (scaled + WHOLE).to_bits() as i8
}

struct Encode<'a> {
    values: &'a [f32],
    factor: f32,
    codes: &'a mut [u8],
}

impl Kernel for Encode<'_> {
    type Output = i32;

    // A plain loop, which the compiler turns into the instructions of each set.
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) -> i32 {
        let mut squares = 0;
        for (place, value) in self.codes.iter_mut().zip(self.values) {
            let code = code(*value, self.factor);
            *place = code as u8 ^ ZERO_CODE;
            squares += i32::from(code) * i32::from(code);
        }
        squares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_makes_the_same_codes() {
        let values: Vec<f32> = (0..203)
            .map(|n| match n % 17 {
                3 => f32::NAN,
                5 => f32::NEG_INFINITY,
                n => (n as f32 - 8.0) / 8.0,
            })
            .collect();
        for length in [0, 1, 15, 16, 63, 64, 203] {
            let values = &values[..length];
            let plain: Vec<i8> = values.iter().map(|value| code(*value, 127.0)).collect();
            for isa in Isa::available() {
                let mut codes = vec![0; length];
                let squares = encode_on(isa, values, 127.0, &mut codes);
                assert!(codes.iter().zip(&plain).all(|(code, plain)| *code ^ ZERO_CODE == *plain as u8));
                assert_eq!(squares, plain.iter().map(|code| i32::from(*code).pow(2)).sum::<i32>());
            }
        }
    }

    #[test]
    fn codes_are_the_nearest_integers() {
        for (value, expected) in [(0.4, 0), (0.6, 1), (-0.6, -1), (126.8, 127), (-126.8, -127), (f32::NAN, 0)]
        {
            assert_eq!(code(value, 1.0), expected);
        }
    }
}
