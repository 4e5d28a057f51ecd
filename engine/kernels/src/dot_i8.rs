//! Dot products of one row of small integers with many rows of codes: the inner loop of a walk.
//!
//! A code is a byte, 128 above the small integer it stands for, because processors multiply unsigned
//! bytes by signed ones. Sums are exact on every processor, so all of them walk the same way.
#![allow(unsafe_code)]

use std::sync::LazyLock;

use super::cpu::{Isa, Kind, isa};

/// Rows of codes begin at multiples of so many bytes: a cache line, and the widest vector.
pub const CODE_BLOCK: usize = 64;

/// The code of 0: what pads a row.
pub const ZERO_CODE: u8 = 128;

/// Cache lines that are asked for ahead of the row that is multiplied, and the least number of rows.
const LINES_AHEAD: usize = 48;
const LEAST_AHEAD: usize = 8;

/// A row of small integers to multiply codes by, padded with zeros to whole blocks.
#[derive(Debug, Clone, Default)]
pub struct QuantizedQuery {
    values: Vec<i8>,
    /// What the offset of the codes adds to every sum.
    offset: i32,
}

impl QuantizedQuery {
    /// Takes small integers, at most 65,536 of them so that no sum overflows.
    ///
    /// # Panics
    /// If there are more.
    pub fn set(&mut self, values: impl Iterator<Item = i8>) {
        self.values.clear();
        self.values.extend(values);
        let padded = self.values.len().next_multiple_of(CODE_BLOCK);
        assert!(padded <= 1 << 16, "a row of codes has at most 65,536 bytes");
        self.values.resize(padded, 0);
        self.offset = i32::from(ZERO_CODE) * self.values.iter().map(|value| i32::from(*value)).sum::<i32>();
    }

    /// Takes the integers that a row of codes stands for.
    pub fn set_codes(&mut self, codes: &[u8]) {
        self.set(codes.iter().map(|code| (code ^ ZERO_CODE) as i8));
    }

    /// The sum of their squares.
    pub fn square(&self) -> i32 {
        self.values.iter().map(|value| i32::from(*value).pow(2)).sum()
    }

    /// Replaces `sums` by the dot products with those `rows` of `codes`, a matrix whose rows are as long
    /// as these factors.
    ///
    /// # Panics
    /// If a row is not in the matrix.
    #[inline]
    pub fn dots(&self, codes: &[u8], rows: &[u32], sums: &mut Vec<i32>) {
        self.dots_on(*UNIT, codes, rows, sums);
    }

    fn dots_on(&self, unit: Unit, codes: &[u8], rows: &[u32], sums: &mut Vec<i32>) {
        let stride = self.values.len();
        let count = codes.len().checked_div(stride).unwrap_or(0);
        assert!(rows.iter().all(|row| (*row as usize) < count), "a row that is not in the matrix");
        sums.clear();
        sums.resize(rows.len(), 0);
        let operands = Operands { factors: &self.values, codes, rows };
        match unit {
            // SAFETY: a `Unit` is chosen only where the processor has it, every row is in the matrix, and
            // there is a sum for each.
            #[cfg(target_arch = "x86_64")]
            Unit::Vnni => unsafe { x86::vnni(&operands, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Unit::Avx512 => unsafe { x86::avx512(&operands, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Unit::Avx2 => unsafe { x86::avx2(&operands, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Unit::Neon => unsafe { neon::dots(&operands, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Unit::NeonDot => unsafe { neon::dots_of_bytes(&operands, self.offset, sums) },
            #[allow(unreachable_patterns)]
            _ => portable(&operands, sums),
        }
        sums.iter_mut().for_each(|sum| *sum -= self.offset);
    }
}

struct Operands<'a> {
    factors: &'a [i8],
    codes: &'a [u8],
    rows: &'a [u32],
}

impl Operands<'_> {
    /// Rows that are asked for ahead of the one that is multiplied.
    #[inline(always)]
    fn ahead(&self) -> usize {
        (LINES_AHEAD * CODE_BLOCK / self.factors.len().max(1)).max(LEAST_AHEAD)
    }

    /// Where the codes of a row begin.
    #[inline(always)]
    fn at(&self, row: u32) -> *const u8 {
        self.codes.as_ptr().wrapping_add(row as usize * self.factors.len())
    }
}

/// What multiplies bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Portable,
    Neon,
    /// NEON with its dot product of bytes.
    NeonDot,
    Avx2,
    Avx512,
    /// AVX-512 with VNNI.
    Vnni,
}

static UNIT: LazyLock<Unit> = LazyLock::new(|| Unit::within(isa()));

impl Unit {
    /// The best of an instruction set that this processor has.
    fn within(isa: Isa) -> Unit {
        match isa.kind() {
            Kind::Portable => Unit::Portable,
            Kind::Neon => Unit::Neon,
            Kind::NeonDot => Unit::NeonDot,
            Kind::Avx2 | Kind::AvxVnni => Unit::Avx2,
            Kind::Avx512 => Unit::Avx512,
            Kind::Avx512Vnni | Kind::Avx512Bf16 | Kind::Amx => Unit::Vnni,
        }
    }
}

fn portable(operands: &Operands<'_>, sums: &mut [i32]) {
    for (row, sum) in operands.rows.iter().zip(sums) {
        let codes = &operands.codes[*row as usize * operands.factors.len()..];
        *sum = codes.iter().zip(operands.factors).map(|(c, f)| i32::from(*c) * i32::from(*f)).sum();
    }
}

// Every function below reads whole blocks of the factors and of rows in the matrix, both multiples of
// `CODE_BLOCK` bytes, and writes a sum for each of `rows`: what its caller has checked.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{CODE_BLOCK, Operands};

    /// Asks for the lines of a row.
    #[inline(always)]
    fn ask(operands: &Operands<'_>, at: usize) {
        if let Some(row) = operands.rows.get(at) {
            let start = operands.at(*row);
            for line in (0..operands.factors.len()).step_by(CODE_BLOCK) {
                // SAFETY: a prefetch faults at no address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(line).cast()) };
            }
        }
    }

    /// # Safety
    /// The processor has AVX-512 F, BW, VL and VNNI; the operands are checked.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
    pub(super) unsafe fn vnni(operands: &Operands<'_>, sums: &mut [i32]) {
        // SAFETY: the caller's promise. The usual lengths have their factors in registers.
        unsafe {
            match operands.factors.len() / CODE_BLOCK {
                2 => vnni_held::<2>(operands, sums),
                4 => vnni_held::<4>(operands, sums),
                6 => vnni_held::<6>(operands, sums),
                8 => vnni_held::<8>(operands, sums),
                12 => vnni_held::<12>(operands, sums),
                16 => vnni_held::<16>(operands, sums),
                _ => vnni_any(operands, sums),
            }
        }
    }

    /// # Safety
    /// As for [`vnni`], and the factors are `BLOCKS` blocks.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
    unsafe fn vnni_held<const BLOCKS: usize>(operands: &Operands<'_>, sums: &mut [i32]) {
        let mut factors = [_mm512_setzero_si512(); BLOCKS];
        for (block, factors) in factors.iter_mut().enumerate() {
            // SAFETY: the factors are so many blocks.
            *factors = unsafe { load(operands.factors.as_ptr().cast(), block) };
        }
        let ahead = operands.ahead();
        (0..ahead.min(operands.rows.len())).for_each(|at| ask(operands, at));
        let rows = operands.rows;
        let mut first = 0;
        while first < rows.len() {
            (0..4).for_each(|more| ask(operands, first + ahead + more));
            let last = rows.len() - 1;
            let starts = [0, 1, 2, 3].map(|more| operands.at(rows[last.min(first + more)]));
            let mut totals = [_mm512_setzero_si512(); 4];
            for (block, factors) in factors.iter().enumerate() {
                for (total, start) in totals.iter_mut().zip(starts) {
                    // SAFETY: rows have as many blocks as the factors.
                    *total = _mm512_dpbusd_epi32(*total, unsafe { load(start, block) }, *factors);
                }
            }
            put(four_sums(totals), &mut sums[first..]);
            first += 4;
        }
    }

    /// # Safety
    /// As for [`vnni`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2")]
    unsafe fn vnni_any(operands: &Operands<'_>, sums: &mut [i32]) {
        let ahead = operands.ahead();
        (0..ahead.min(operands.rows.len())).for_each(|at| ask(operands, at));
        let rows = operands.rows;
        let mut first = 0;
        while first < rows.len() {
            (0..4).for_each(|more| ask(operands, first + ahead + more));
            let last = rows.len() - 1;
            let starts = [0, 1, 2, 3].map(|more| operands.at(rows[last.min(first + more)]));
            let mut totals = [_mm512_setzero_si512(); 4];
            for block in 0..operands.factors.len() / CODE_BLOCK {
                // SAFETY: rows have as many blocks as the factors.
                unsafe {
                    let factors = load(operands.factors.as_ptr().cast(), block);
                    for (total, start) in totals.iter_mut().zip(starts) {
                        *total = _mm512_dpbusd_epi32(*total, load(start, block), factors);
                    }
                }
            }
            put(four_sums(totals), &mut sums[first..]);
            first += 4;
        }
    }

    /// # Safety
    /// The processor has AVX-512 F, BW and VL; the operands are checked.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2")]
    pub(super) unsafe fn avx512(operands: &Operands<'_>, sums: &mut [i32]) {
        let ahead = operands.ahead();
        (0..ahead.min(operands.rows.len())).for_each(|at| ask(operands, at));
        for (at, (row, sum)) in operands.rows.iter().zip(sums).enumerate() {
            ask(operands, at + ahead);
            let (codes, factors) = (operands.at(*row), operands.factors.as_ptr());
            let mut totals = [_mm512_setzero_si512(); 2];
            for block in 0..operands.factors.len() / CODE_BLOCK {
                for (half, total) in totals.iter_mut().enumerate() {
                    let place = block * CODE_BLOCK + half * 32;
                    // SAFETY: half a block of each row is there. Products of bytes fit i16, sums of two
                    // of them i32.
                    *total = unsafe {
                        let codes = _mm512_cvtepu8_epi16(_mm256_loadu_si256(codes.add(place).cast()));
                        let factors = _mm512_cvtepi8_epi16(_mm256_loadu_si256(factors.add(place).cast()));
                        _mm512_add_epi32(*total, _mm512_madd_epi16(codes, factors))
                    };
                }
            }
            *sum = _mm512_reduce_add_epi32(_mm512_add_epi32(totals[0], totals[1]));
        }
    }

    /// # Safety
    /// The processor has AVX2; the operands are checked.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn avx2(operands: &Operands<'_>, sums: &mut [i32]) {
        let ahead = operands.ahead();
        (0..ahead.min(operands.rows.len())).for_each(|at| ask(operands, at));
        for (at, (row, sum)) in operands.rows.iter().zip(sums).enumerate() {
            ask(operands, at + ahead);
            let (codes, factors) = (operands.at(*row), operands.factors.as_ptr());
            let mut totals = [_mm256_setzero_si256(); 4];
            for block in 0..operands.factors.len() / CODE_BLOCK {
                for (quarter, total) in totals.iter_mut().enumerate() {
                    let place = block * CODE_BLOCK + quarter * 16;
                    // SAFETY: a quarter of a block of each row is there. `maddubs` would saturate.
                    *total = unsafe {
                        let codes = _mm256_cvtepu8_epi16(_mm_loadu_si128(codes.add(place).cast()));
                        let factors = _mm256_cvtepi8_epi16(_mm_loadu_si128(factors.add(place).cast()));
                        _mm256_add_epi32(*total, _mm256_madd_epi16(codes, factors))
                    };
                }
            }
            let [a, b, c, d] = totals;
            let total = _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d));
            let half = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256::<1>(total));
            let pair = _mm_add_epi32(half, _mm_unpackhi_epi64(half, half));
            *sum = _mm_cvtsi128_si32(_mm_add_epi32(pair, _mm_shuffle_epi32::<1>(pair)));
        }
    }

    /// # Safety
    /// Block `block` from `start` on can be read.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn load(start: *const u8, block: usize) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe { _mm512_loadu_si512(start.add(block * CODE_BLOCK).cast()) }
    }

    /// The sums of four vectors, in their order.
    #[inline]
    #[target_feature(enable = "avx512f,avx2")]
    fn four_sums(totals: [__m512i; 4]) -> __m128i {
        let [a, b, c, d] = totals;
        let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
        let half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
        _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half))
    }

    /// Writes as many of four sums as there is room for.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn put(four: __m128i, sums: &mut [i32]) {
        let mut values = [0; 4];
        // SAFETY: four integers have the room of one vector.
        unsafe { _mm_storeu_si128(values.as_mut_ptr().cast(), four) };
        let count = sums.len().min(4);
        sums[..count].copy_from_slice(&values[..count]);
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    use super::{Operands, ZERO_CODE};
    use crate::lanes::dot_bytes;
    use crate::prefetch;

    /// Asks for a row.
    fn ask(operands: &Operands<'_>, at: usize) {
        let length = operands.factors.len();
        if let Some(row) = operands.rows.get(at) {
            prefetch(&operands.codes[*row as usize * length..][..length]);
        }
    }

    /// # Safety
    /// The processor has the dot product of bytes; the operands are checked.
    #[target_feature(enable = "dotprod")]
    pub(super) unsafe fn dots_of_bytes(operands: &Operands<'_>, offset: i32, sums: &mut [i32]) {
        let ahead = operands.ahead();
        for (at, (row, sum)) in operands.rows.iter().zip(sums).enumerate() {
            ask(operands, at + ahead);
            let (codes, factors) = (operands.at(*row), operands.factors.as_ptr());
            let mut totals = [vdupq_n_u32(0); 4];
            for block in (0..operands.factors.len()).step_by(64) {
                for (quarter, total) in totals.iter_mut().enumerate() {
                    let place = block + quarter * 16;
                    // SAFETY: a quarter of a block of each row is there. Both have a sign: what codes stand for.
                    *total = unsafe {
                        let codes = veorq_u8(vld1q_u8(codes.add(place)), vdupq_n_u8(ZERO_CODE));
                        let factors = vld1q_s8(factors.add(place));
                        dot_bytes(vreinterpretq_u32_u8(codes), vreinterpretq_u32_s8(factors), *total)
                    };
                }
            }
            let [a, b, c, d] = totals;
            // The caller takes away what the offset of the codes adds, which is not in these.
            *sum = vaddvq_u32(vaddq_u32(vaddq_u32(a, b), vaddq_u32(c, d))) as i32 + offset;
        }
    }

    /// # Safety
    /// The operands are checked.
    pub(super) unsafe fn dots(operands: &Operands<'_>, sums: &mut [i32]) {
        let length = operands.factors.len();
        let ahead = operands.ahead();
        for (at, (row, sum)) in operands.rows.iter().zip(sums).enumerate() {
            ask(operands, at + ahead);
            let (codes, factors) = (operands.at(*row), operands.factors.as_ptr());
            // SAFETY: NEON is part of the target, and 16 bytes at each place of both rows are there.
            // Products of bytes fit i16 once both are widened.
            *sum = unsafe {
                let mut totals = [vdupq_n_s32(0); 4];
                for place in (0..length).step_by(16) {
                    let c = vld1q_u8(codes.add(place));
                    let f = vld1q_s8(factors.add(place));
                    let c_low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(c)));
                    let c_high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(c)));
                    let (f_low, f_high) = (vmovl_s8(vget_low_s8(f)), vmovl_s8(vget_high_s8(f)));
                    totals[0] = vmlal_s16(totals[0], vget_low_s16(c_low), vget_low_s16(f_low));
                    totals[1] = vmlal_s16(totals[1], vget_high_s16(c_low), vget_high_s16(f_low));
                    totals[2] = vmlal_s16(totals[2], vget_low_s16(c_high), vget_low_s16(f_high));
                    totals[3] = vmlal_s16(totals[3], vget_high_s16(c_high), vget_high_s16(f_high));
                }
                let [a, b, c, d] = totals;
                vaddvq_s32(vaddq_s32(vaddq_s32(a, b), vaddq_s32(c, d)))
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn units() -> impl Iterator<Item = Unit> {
        Isa::available().map(Unit::within)
    }

    /// A matrix of padded rows of codes.
    fn codes(rows: &[Vec<i8>]) -> Vec<u8> {
        let mut codes = Vec::new();
        for row in rows {
            codes.extend(row.iter().map(|value| *value as u8 ^ ZERO_CODE));
            codes.resize(codes.len().next_multiple_of(CODE_BLOCK), ZERO_CODE);
        }
        codes
    }

    proptest! {
        #[test]
        fn every_unit_gives_the_exact_sums_of_the_rows_asked_for(
            length in 1usize..1100,
            asked in prop::collection::vec(0u32..12, 0..40),
            seed: u64,
        ) {
            let mut state = seed | 1;
            let mut next = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as i8
            };
            let rows: Vec<Vec<i8>> = (0..12).map(|_| (0..length).map(|_| next()).collect()).collect();
            let factor: Vec<i8> = (0..length).map(|_| next()).collect();
            let expected: Vec<i32> = asked.iter().map(|row| {
                rows[*row as usize].iter().zip(&factor).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
            }).collect();
            let mut factors = QuantizedQuery::default();
            factors.set(factor.into_iter());
            for unit in units() {
                let mut sums = vec![7; 3];
                factors.dots_on(unit, &codes(&rows), &asked, &mut sums);
                prop_assert_eq!(&sums, &expected, "{:?}", unit);
            }
        }
    }

    #[test]
    fn the_greatest_values_saturate_nowhere() {
        for value in [-128i8, 127] {
            let matrix = codes(&[vec![-128; 384], vec![127; 384]]);
            let mut factors = QuantizedQuery::default();
            factors.set([value; 384].into_iter());
            for unit in units() {
                let mut sums = Vec::new();
                factors.dots_on(unit, &matrix, &[0, 1], &mut sums);
                assert_eq!(sums, [-128 * 384 * i32::from(value), 127 * 384 * i32::from(value)], "{unit:?}");
            }
        }
    }

    #[test]
    fn a_row_of_codes_multiplies_as_what_it_stands_for() {
        let matrix = codes(&[vec![1, -2, 3], vec![-128, 127, 0]]);
        let mut factors = QuantizedQuery::default();
        factors.set_codes(&matrix[CODE_BLOCK..]);
        let mut sums = Vec::new();
        factors.dots(&matrix, &[0, 1], &mut sums);
        assert_eq!(sums, [-128 - 254, 128 * 128 + 127 * 127]);
    }

    #[test]
    fn no_wider_unit_than_the_instruction_set_is_chosen() {
        for (name, unit) in [
            ("portable", Unit::Portable),
            ("avx2", Unit::Avx2),
            ("avx512", Unit::Avx512),
            ("amx", Unit::Vnni),
        ] {
            if let Some(isa) = Isa::named(name) {
                assert_eq!(Unit::within(isa), unit);
            }
        }
    }

    #[test]
    #[should_panic(expected = "not in the matrix")]
    fn a_row_beyond_the_matrix_is_refused() {
        let mut factors = QuantizedQuery::default();
        factors.set([1i8; 64].into_iter());
        factors.dots(&[0; 128], &[2], &mut Vec::new());
    }
}
