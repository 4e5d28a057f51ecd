//! Packed products against scalar twins, and against themselves out of what is stored of them.

use super::*;
use crate::rows::RowBuffer;
use crate::vecmath::erf_reference;
use proptest::prelude::*;

/// x and w as the precision has them, in double precision.
fn rounded(isa: Isa, precision: Precision, x: &[f32], w: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let each = |v: &[f32], f: &dyn Fn(f32) -> f64| v.iter().map(|v| f(*v)).collect::<Vec<_>>();
    match precision {
        Precision::F32 => (each(x, &f64::from), each(w, &f64::from)),
        Precision::Bf16 => {
            let narrow = |v: f32| f64::from(bf16::from_f32(v).to_f32());
            (each(x, &narrow), each(w, &narrow))
        }
        Precision::Int8 => {
            let (low, high) =
                x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
            let step = ((high - low) / 255.0).max(1e-30);
            let of_x = |v: f32| f64::from(((v - low) * (1.0 / step)).round_ties_even()) * f64::from(step);
            let x = each(x, &|v| of_x(v) + f64::from(low));
            let step = scale(w, code_format(isa).1);
            (x, each(w, &|v| f64::from((v / step).round()) * f64::from(step)))
        }
    }
}

/// The scalar twin: (value, sum of magnitudes), in double precision.
fn twin(x: &[f64], w: &[f64], bias: f32) -> (f64, f64) {
    let products = x.iter().zip(w).map(|(x, w)| x * w);
    let bias = f64::from(bias);
    products.fold((bias, bias.abs()), |(sum, size), p| (sum + p, size + p.abs()))
}

/// Bytes that begin on a cache line.
struct Lines(AlignedWords);

impl AsRef<[u8]> for Lines {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// What is stored of a layer, with the last `missing` bytes cut off, restored.
fn restored(linear: &PackedLinear, missing: usize) -> Option<PackedLinear> {
    let mut bytes = Vec::new();
    for part in linear.stored() {
        bytes.extend_from_slice(part);
        bytes.resize(bytes.len().next_multiple_of(64), 0);
    }
    let mut lines = AlignedWords::zeroed(bytes.len() / 4);
    bytemuck::cast_slice_mut(&mut lines).copy_from_slice(&bytes);
    let mut reader = SharedReader::new(std::sync::Arc::new(Lines(lines)), 0..bytes.len() - missing);
    let PackedLinear { isa, precision, inner, columns, .. } = *linear;
    PackedLinear::restore(isa, precision, inner, columns, &mut reader)
}

/// Kept weights are read again by releases to come.
#[test]
fn weights_are_packed_as_their_format_says() {
    assert_eq!(PackedLinear::FORMAT, 1, "then the sums below are those of another format");
    let weights: Vec<f32> = (0..40 * 21).map(|i| ((i * 37 % 101) as f32 - 50.0) / 64.0).collect();
    let expected = [
        ("portable", Precision::F32, 0xcf73_8347_8bec_90de_u64),
        ("portable", Precision::Int8, 0x9b90_8c36_82ef_c17c),
        ("avx2", Precision::Int8, 0x4faa_6682_4f42_48da),
        ("avx512", Precision::F32, 0x3586_faf7_6c85_dc6e),
        ("avx512vnni", Precision::Int8, 0x9fdd_72e5_c304_3760),
        ("avx512bf16", Precision::Bf16, 0x8f9f_cece_9ad1_4956),
    ];
    let expected: Vec<_> = expected.into_iter().filter(|(isa, ..)| Isa::named(isa).is_some()).collect();
    let found = expected.iter().map(|(name, precision, _)| {
        let isa = Isa::named(name).expect("only those are left");
        let row = |c: usize| &weights[c * 21..][..21];
        let linear = PackedLinear::pack(isa, *precision, 21, 40, row, &weights[..40]);
        let fnv = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        (*name, *precision, linear.stored().concat().iter().fold(0xcbf2_9ce4_8422_2325, fnv))
    });
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn a_packed_product_is_that_of_its_scalar_twin(
        precision in prop::sample::select(vec![Precision::F32, Precision::Bf16, Precision::Int8]),
        rows in 0usize..70,
        inner in 1usize..200,
        columns in 1usize..110,
        epilogue in prop::sample::select(vec![
            Epilogue::Store,
            Epilogue::Add,
            Epilogue::Activate(Activation::Gelu),
            Epilogue::Activate(Activation::Relu),
        ]),
        with_bias in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut state = seed | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
        };
        let x: Vec<f32> = (0..rows * inner).map(|_| next()).collect();
        let w: Vec<f32> = (0..columns * inner).map(|_| next()).collect();
        let bias: Vec<f32> = (0..if with_bias { columns } else { 0 }).map(|_| next()).collect();
        let before: Vec<f32> = (0..rows * columns).map(|_| next()).collect();
        let mut buffer = RowBuffer::default();
        for isa in Isa::available() {
            let row = |c: usize| &w[c * inner..][..inner];
            let linear = PackedLinear::pack(isa, precision, inner, columns, row, &bias);
            let mut y = before.clone();
            linear.apply(buffer.rows(isa, precision, &x, inner), rows, epilogue, &mut y);
            let restored = restored(&linear, 0).expect("whole");
            let mut again = before.clone();
            restored.apply(buffer.rows(isa, precision, &x, inner), rows, epilogue, &mut again);
            let bits = |y: &[f32]| y.iter().map(|y| y.to_bits()).collect::<Vec<u32>>();
            prop_assert_eq!(bits(&y), bits(&again));
            prop_assert!(self::restored(&linear, 64).is_none());
            for r in 0..rows {
                for c in 0..columns {
                    let b = bias.get(c).copied().unwrap_or(0.0);
                    let (x, w) = rounded(isa, precision, &x[r * inner..][..inner], &w[c * inner..][..inner]);
                    let (sum, size) = twin(&x, &w, b);
                    let at = r * columns + c;
                    let exact = match epilogue {
                        Epilogue::Store => sum,
                        Epilogue::Activate(Activation::Relu) => sum.max(0.0),
                        Epilogue::Activate(_) => sum * 0.5 * (1.0 + erf_reference(sum / 2f64.sqrt())),
                        Epilogue::Add => sum + f64::from(before[at]),
                    };
                    let bound = (size + 1.0) * 2e-6;
                    prop_assert!((f64::from(y[at]) - exact).abs() <= bound,
                        "{:?} {:?} row {} column {}: {} is not {}", isa, epilogue, r, c, y[at], exact);
                }
            }
        }
    }
}

#[test]
fn codes_that_are_added_in_16_bits_come_near_the_limit_and_keep_to_it() {
    const MOST: i32 = 128;
    let mut state = 5u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 23) as f32) - 1.0
    };
    for inner in [1usize, 3, 4, 6, 8, 12, 384] {
        for power in [1, 3, 15] {
            let row: Vec<f32> = (0..inner).map(|_| next().powi(power)).collect();
            for row in [row.clone(), row.iter().map(|x| x.abs()).collect(), vec![-0.5; inner]] {
                let scale = scale(&row, MOST);
                let codes: Vec<i32> = row.iter().map(|x| i32::from(code(*x, scale))).collect();
                let (mut greatest_sum, mut greatest) = (0, 0);
                for block in codes.chunks(8) {
                    for places in [[0, 1, 4, 5], [2, 3, 6, 7]] {
                        let added = places.into_iter().filter_map(|i| block.get(i).copied());
                        let sum = |sign: i32| added.clone().map(|code| (sign * code).max(0)).sum::<i32>();
                        greatest_sum = greatest_sum.max(sum(1)).max(sum(-1));
                    }
                    greatest = block.iter().fold(greatest, |most, code| most.max(code.abs()));
                }
                assert!(greatest_sum <= MOST, "{greatest_sum} of {row:?}");
                assert!(greatest_sum >= MOST - 4 || greatest == 127, "{greatest_sum}, {greatest}");
            }
        }
    }
}

#[test]
fn sums_of_the_greatest_codes_do_not_saturate() {
    // 255 * 127 four times over is more than 16 bits hold, and 3072 times is what a large layer has.
    let inner = 3072;
    let mut x = vec![255.0; inner];
    x[0] = 0.0;
    let w = vec![127.0; inner];
    for isa in Isa::available() {
        let (codes_of_x, codes_of_w) = rounded(isa, Precision::Int8, &x, &w);
        let exact = twin(&codes_of_x, &codes_of_w, 0.0).0 as f32;
        let linear = PackedLinear::pack(isa, Precision::Int8, inner, 1, |_| &w, &[]);
        let mut y = [0.0];
        let mut buffer = RowBuffer::default();
        linear.apply(buffer.rows(isa, Precision::Int8, &x, inner), 1, Epilogue::Store, &mut y);
        assert!((y[0] - exact).abs() <= exact * 1e-6, "{isa:?}: {} is not {exact}", y[0]);
    }
}

#[test]
fn a_weight_that_is_not_a_number_is_not_lost() {
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        for isa in Isa::available() {
            let w = [1.0, f32::NAN, 2.0];
            let linear = PackedLinear::pack(isa, precision, 3, 1, |_| &w, &[]);
            let mut y = [0.0];
            let mut buffer = RowBuffer::default();
            linear.apply(buffer.rows(isa, precision, &[1.0, 2.0, 3.0], 3), 1, Epilogue::Store, &mut y);
            assert!(y[0].is_nan(), "{isa:?} {precision:?}");
        }
    }
}
