//! What can go wrong in training and evaluation.

use std::io;
use std::path::PathBuf;

/// A result of the trainer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in training and evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The encoder failed.
    #[error(transparent)]
    Encoder(#[from] akin_encoder::Error),
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "read", "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of a table of sentences is not what it should be.
    #[error("{}:{line}: {reason}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it and what was expected.
        reason: String,
    },
    /// Two series of numbers have no correlation.
    #[error("there is no correlation to compute: {0}")]
    Correlation(&'static str),
    /// The loss or its gradient stopped being a number.
    #[error("step {step}, of loss {loss}, leaves no number to go on from: lower the learning rate; {kept}")]
    Diverged {
        /// The step, from 1.
        step: usize,
        /// The loss.
        loss: f64,
        /// What is kept of the run.
        kept: String,
    },
    /// The folder that a run is to write to exists, and the run is not to be resumed.
    #[error("{} exists{}", path.display(), if *unfinished { " and holds an unfinished run" } else { "" })]
    OutputExists {
        /// The folder.
        path: PathBuf,
        /// Whether a run in it can be resumed.
        unfinished: bool,
    },
    /// The observer of a run stopped it. A checkpoint of the last step was written.
    #[error("stopped after step {step}, with a checkpoint")]
    Cancelled {
        /// The step, from 1.
        step: usize,
    },
    /// The arguments of a call contradict each other or the files.
    #[error("{0}")]
    Invalid(String),
}
