//! The model that a student learns from.

use std::path::Path;

use akin_encoder::{CrossEncoder, Error as EncoderError, Precision, SentenceEncoder};

use crate::embedder::{Embedded, Embedder};
use crate::similarity::compare;
use crate::{Error, Result};

/// Texts or pairs that a teacher reads at a time.
const CHUNK: usize = 512;

/// A trained model: one that makes embeddings, or a cross-encoder.
pub enum Teacher {
    /// Its embeddings are the student's, and its similarities give margins.
    Encoder(Box<SentenceEncoder>),
    /// Its scores give margins.
    CrossEncoder(Box<CrossEncoder>),
}

impl Teacher {
    /// Opens the model in `dir`.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn open(dir: &Path) -> Result<Self> {
        match CrossEncoder::load(dir, Precision::F32) {
            Ok(encoder) => Ok(Self::CrossEncoder(Box::new(encoder))),
            Err(EncoderError::NoCrossEncoder { .. }) => {
                Ok(Self::Encoder(Box::new(SentenceEncoder::load(dir)?)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The embeddings of some texts; equal ones are read once. `observer` hears (texts read, of how many).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cross-encoder, or for embeddings of another length than `dimension`; those of the encoder.
    pub fn embeddings<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
        dimension: usize,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<Embedded<'a>> {
        let Self::Encoder(encoder) = self else {
            let reason =
                "the teacher is a cross-encoder and has no embeddings: take a model that embeds sentences";
            return Err(Error::Invalid(reason.into()));
        };
        let own = Embedder::dimension(encoder.as_ref());
        if own != dimension {
            return Err(Error::Invalid(format!(
                "the teacher's embeddings have {own} numbers and the student's {dimension}: take a teacher with as many"
            )));
        }
        Embedded::of(encoder.as_ref(), texts, observer)
    }

    /// By how much it scores the second text of each triplet higher than the third, beside the first. `observer` hears
    /// (triplets or texts read, of how many).
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn margins(
        &self,
        triplets: &[[&str; 3]],
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<f32>> {
        match self {
            Self::Encoder(encoder) => {
                let texts = triplets.iter().flatten().copied();
                let embedded = Embedded::of(encoder.as_ref(), texts, observer)?;
                let similarity = Embedder::similarity(encoder.as_ref());
                let margin = |texts: &[&str; 3]| {
                    let [anchor, positive, negative] = texts.map(|text| embedded.vector(text));
                    compare(similarity, anchor, positive) - compare(similarity, anchor, negative)
                };
                Ok(triplets.iter().map(|texts| margin(texts) as f32).collect())
            }
            Self::CrossEncoder(encoder) => {
                let mut margins = Vec::with_capacity(triplets.len());
                for chunk in triplets.chunks(CHUNK) {
                    let pairs: Vec<(&str, &str)> =
                        chunk.iter().flat_map(|[a, p, n]| [(*a, *p), (*a, *n)]).collect();
                    let scores = encoder.score(&pairs)?;
                    margins.extend(
                        scores.as_chunks::<2>().0.iter().map(|[positive, negative]| positive - negative),
                    );
                    observer(margins.len(), triplets.len());
                }
                Ok(margins)
            }
        }
    }
}
