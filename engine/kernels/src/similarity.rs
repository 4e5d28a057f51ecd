//! How two embeddings are compared.

use crate::{dot, manhattan_distance, squared_distance};

/// How two embeddings are compared: what a model calls its `similarity_fn_name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Similarity {
    /// The cosine of the angle between them, from -1 to 1.
    #[default]
    Cosine,
    /// Their dot product. It equals the cosine where all embeddings have length one.
    Dot,
    /// Minus their Euclidean distance.
    Euclidean,
    /// Minus the sum of the distances in each dimension.
    Manhattan,
}

impl Similarity {
    /// All of them, each at the place of its [`code`](Self::code).
    pub const ALL: [Self; 4] = [Self::Cosine, Self::Dot, Self::Euclidean, Self::Manhattan];

    /// Its name in `config_sentence_transformers.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::Euclidean => "euclidean",
            Self::Manhattan => "manhattan",
        }
    }

    /// The similarity of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|similarity| similarity.name() == name)
    }

    /// How similar two vectors are: greater is more. The cosine is that of vectors of length one, as they are stored.
    ///
    /// # Panics
    /// If their lengths differ.
    #[inline]
    pub fn of(self, a: &[f32], b: &[f32]) -> f32 {
        match self {
            Self::Cosine | Self::Dot => dot(a, b),
            Self::Euclidean => -squared_distance(a, b).sqrt(),
            Self::Manhattan => -manhattan_distance(a, b),
        }
    }

    /// Whether it is a dot product of vectors as they are stored, by which a graph can be walked.
    pub fn is_product(self) -> bool {
        matches!(self, Self::Cosine | Self::Dot)
    }

    /// Its number in files.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The similarity of that number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::Similarity;

    #[test]
    fn a_similarity_is_found_by_its_name_and_its_number() {
        for similarity in Similarity::ALL {
            assert_eq!(Similarity::from_name(similarity.name()), Some(similarity));
            assert_eq!(Similarity::from_code(similarity.code()), Some(similarity));
        }
        assert_eq!((Similarity::from_name("dot_score"), Similarity::from_code(4)), (None, None));
    }

    #[test]
    fn each_compares_as_its_name_says() {
        let of = |similarity: Similarity| similarity.of(&[1.0, 2.0, -1.0], &[4.0, -2.0, -1.0]);
        assert_eq!(Similarity::ALL.map(of), [1.0, 1.0, -5.0, -7.0]);
    }
}
