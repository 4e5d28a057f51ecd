//! What can go wrong in the encoder: one sentence each, with the facts (path, setting, found, expected).

use std::path::PathBuf;

/// A result of the encoder.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the encoder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A model directory holds something that Akin cannot honour, or lacks something it needs.
    #[error("{}: {reason}", path.display())]
    Model {
        /// The file of the model that is at fault.
        path: PathBuf,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// A cross-encoder where embeddings are wanted.
    #[error("{} is a cross-encoder: it scores pairs of texts and makes no embeddings", path.display())]
    IsCrossEncoder {
        /// The directory of the model.
        path: PathBuf,
    },
    /// A model that scores no pairs where a cross-encoder is wanted.
    #[error("{} is no cross-encoder: {reason}", path.display())]
    NoCrossEncoder {
        /// The directory of the model.
        path: PathBuf,
        /// What it is instead, or what it lacks.
        reason: String,
    },
    /// A model that was named cannot be found or downloaded.
    #[error("the model {model} {reason}")]
    ModelNotFound {
        /// The model that was named: a directory or an id.
        model: String,
        /// Why, as the end of a sentence that begins with the model.
        reason: String,
    },
    /// A precision that the executor or this processor does not compute in.
    #[error("{reason}")]
    Precision {
        /// The precision that was asked for.
        precision: akin_kernels::rows::Precision,
        /// What there is instead.
        reason: String,
    },
    /// A device whose feature was left out when this crate was compiled.
    #[error("the device {device} needs the feature `{feature}`, which this build lacks")]
    DeviceNotBuilt {
        /// The device that was asked for.
        device: crate::Device,
        /// The feature of this crate.
        feature: &'static str,
    },
    /// A device that is not there, or that failed.
    #[error("the device {device} {reason}")]
    Device {
        /// The device that was asked for.
        device: crate::Device,
        /// What is wrong with it, as the end of a sentence that begins with the device.
        reason: String,
    },
    /// More numbers of an embedding were asked for than the model makes, or none.
    #[error("the model makes embeddings of {made} numbers, and {asked} of them were asked for")]
    Dimensions {
        /// How many were asked for.
        asked: usize,
        /// How many there are.
        made: usize,
    },
    /// A caller asked for something that cannot be.
    #[error("{0}")]
    Invalid(String),
}
