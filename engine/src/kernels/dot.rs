//! The dot product: the inner loop of every search.

/// The dot product of `a` and `b`.
///
/// Sums in another order than a plain loop does, so that it differs from the exact sum by at most
/// `n * EPSILON * sum |a_i * b_i|`. NaN and infinities go through it as IEEE 754 says.
///
/// # Panics
/// If the lengths differ.
#[inline]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "a dot product of vectors of different lengths");
    let mut sums = [0.0f32; 16];
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    for (x, y) in a16.iter().zip(b16) {
        for lane in 0..16 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}
