//! How alike two vectors are, in the four ways that the paper compares (section 4.1).

use serde::Serialize;

/// A way to compare two vectors; the greater, the more alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Similarity {
    /// The cosine of their angle.
    Cosine,
    /// Less the sum of the differences.
    Manhattan,
    /// Less their distance.
    Euclidean,
    /// Their dot product.
    Dot,
}

impl Similarity {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Cosine, Self::Manhattan, Self::Euclidean, Self::Dot];

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Manhattan => "manhattan",
            Self::Euclidean => "euclidean",
            Self::Dot => "dot",
        }
    }

    /// How alike two vectors of one length are. The cosine with a vector of zeros is 0.
    pub fn of(self, a: &[f32], b: &[f32]) -> f64 {
        let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
            a.iter().zip(b).map(|(x, y)| f(f64::from(*x), f64::from(*y))).sum()
        };
        match self {
            Self::Cosine => {
                let lengths = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
                if lengths > 0.0 { sum(&|x, y| x * y) / lengths } else { 0.0 }
            }
            Self::Manhattan => -sum(&|x, y| (x - y).abs()),
            Self::Euclidean => -sum(&|x, y| (x - y) * (x - y)).sqrt(),
            Self::Dot => sum(&|x, y| x * y),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_does_not_depend_on_length() {
        let cosine = |a: &[f32], b: &[f32]| Similarity::Cosine.of(a, b);
        assert!((cosine(&[3.0, 4.0], &[30.0, 40.0]) - 1.0).abs() < 1e-12);
        assert!(cosine(&[1.0, 0.0], &[0.0, 5.0]).abs() < 1e-12);
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 0.0]), 0.0);
    }

    #[test]
    fn distances_are_the_less_alike_the_longer() {
        assert_eq!(Similarity::Manhattan.of(&[0.0, 0.0], &[3.0, -4.0]), -7.0);
        assert_eq!(Similarity::Euclidean.of(&[0.0, 0.0], &[3.0, -4.0]), -5.0);
        assert_eq!(Similarity::Dot.of(&[1.0, 2.0], &[3.0, -4.0]), -5.0);
    }
}
