//! Calls into sled, whose failures become errors of ours.
//!
//! Sled returns most failures as errors and panics on others, damaged pages above all. Neither may end a
//! program, so every call into it runs behind [`shield`].

use std::any::Any;
use std::cell::Cell;
use std::io::ErrorKind;
use std::panic::{self, AssertUnwindSafe};

/// A call into sled that did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It returned an error.
    Sled(sled::Error),
    /// It panicked, with this message.
    Panic(String),
}

thread_local! {
    static SHIELDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread is caught by this crate and becomes an error: a program's panic hook may then
/// keep quiet about it.
pub fn catches_panics() -> bool {
    SHIELDED.get()
}

/// Runs a call into sled; a panic within becomes a [`Failure`].
pub(super) fn shield<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Failure> {
    let outer = SHIELDED.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(call));
    SHIELDED.set(outer);
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::Sled(error)),
        Err(panic) => Err(Failure::Panic(message(panic.as_ref()))),
    }
}

/// The first line of a panic's message: dumps of sled's own structures follow it.
fn message(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.and_then(|text| text.lines().next()).unwrap_or("no message").to_owned()
}

impl Failure {
    /// Whether the file of the database is locked.
    pub(super) fn is_lock(&self) -> bool {
        matches!(self, Failure::Sled(sled::Error::Io(error))
            if error.kind() == ErrorKind::WouldBlock
                || error.to_string().starts_with("could not acquire lock"))
    }

    /// What the system said, if the disk refused a write.
    pub(super) fn refused_write(&self) -> Option<&std::io::Error> {
        match self {
            Failure::Sled(sled::Error::Io(error)) if refuses_writes(error.kind()) => Some(error),
            _ => None,
        }
    }

    /// A sentence for it, without sled's own terms.
    pub(super) fn describe(&self) -> String {
        match self {
            Failure::Sled(sled::Error::Corruption { .. }) => "a page fails its checksum".into(),
            Failure::Sled(sled::Error::Io(error)) => format!("a file cannot be used ({})", error.kind()),
            Failure::Sled(other) => format!("it cannot be read ({other})"),
            Failure::Panic(message) => format!("the database gave up ({message})"),
        }
    }
}

/// Whether a disk says by this that it takes no writes.
pub(crate) fn refuses_writes(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
    )
}
