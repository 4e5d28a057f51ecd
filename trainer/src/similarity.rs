//! The four similarities of vectors that the paper compares (section 4.1).

use akin_encoder::Similarity;

/// All four, in the order of the paper's tables.
pub const COMPARED: [Similarity; 4] =
    [Similarity::Cosine, Similarity::Manhattan, Similarity::Euclidean, Similarity::Dot];

/// How alike two vectors of one length are, in double precision. The cosine with a vector of zeros is 0.
pub fn compare(similarity: Similarity, a: &[f32], b: &[f32]) -> f64 {
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.iter().zip(b).map(|(x, y)| f(f64::from(*x), f64::from(*y))).sum()
    };
    match similarity {
        Similarity::Cosine => {
            let lengths = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
            if lengths > 0.0 { sum(&|x, y| x * y) / lengths } else { 0.0 }
        }
        Similarity::Manhattan => -sum(&|x, y| (x - y).abs()),
        Similarity::Euclidean => -sum(&|x, y| (x - y) * (x - y)).sqrt(),
        Similarity::Dot => sum(&|x, y| x * y),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_does_not_depend_on_length() {
        let cosine = |a: &[f32], b: &[f32]| compare(Similarity::Cosine, a, b);
        assert!((cosine(&[3.0, 4.0], &[30.0, 40.0]) - 1.0).abs() < 1e-12);
        assert!(cosine(&[1.0, 0.0], &[0.0, 5.0]).abs() < 1e-12);
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 0.0]), 0.0);
    }

    #[test]
    fn distances_are_the_less_alike_the_longer() {
        assert_eq!(compare(Similarity::Manhattan, &[0.0, 0.0], &[3.0, -4.0]), -7.0);
        assert_eq!(compare(Similarity::Euclidean, &[0.0, 0.0], &[3.0, -4.0]), -5.0);
        assert_eq!(compare(Similarity::Dot, &[1.0, 2.0], &[3.0, -4.0]), -5.0);
    }
}
