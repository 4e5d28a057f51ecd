//! What the database says when it fails, in the words of the engine.
//!
//! Sled returns most failures as errors and panics on others, damaged pages above all. Neither may
//! end a program that only asked a question, so every call into it runs behind [`shield`].

use std::any::Any;
use std::cell::Cell;
use std::io::ErrorKind;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use crate::Error;

/// A call into the database that did not succeed.
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

/// Runs a call into the database; a panic within becomes a [`Failure`] and prints nothing, since the
/// caller reports it in a sentence of its own.
pub(super) fn shield<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Failure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !SHIELDED.get() {
                report(panic);
            }
        }));
    });
    let outer = SHIELDED.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(call));
    SHIELDED.set(outer);
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::Sled(error)),
        Err(panic) => Err(Failure::Panic(message(panic.as_ref()))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    // Only the first line: what follows are dumps of the database's own structures.
    text.and_then(|text| text.lines().next()).unwrap_or("no message").to_owned()
}

impl Failure {
    /// Whether the file of the database is still locked.
    pub(super) fn is_lock(&self) -> bool {
        matches!(self, Failure::Sled(sled::Error::Io(error))
            if error.kind() == ErrorKind::WouldBlock
                || error.to_string().starts_with("could not acquire lock"))
    }

    /// Whether the database was made with another size of its log's segments.
    pub(super) fn is_other_log(&self) -> bool {
        matches!(self, Failure::Sled(sled::Error::Unsupported(_)))
    }

    /// The error of an index that cannot be opened.
    pub(super) fn opening(self, index: &Path) -> Error {
        if self.is_lock() {
            return Error::Locked { path: index.to_owned() };
        }
        match self {
            // Opening brings the log to a clean end: it writes.
            Failure::Sled(sled::Error::Io(error)) if refuses_writes(error.kind()) => {
                Error::Write { path: index.to_owned(), reason: reason(&error) }
            }
            other => other.reading(index),
        }
    }

    /// The error of a read.
    pub(super) fn reading(self, index: &Path) -> Error {
        let path = index.to_owned();
        match self {
            // A record or a blob that ends early or is not there is damage, not a failing disk.
            Failure::Sled(sled::Error::Io(error))
                if !matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::NotFound) =>
            {
                Error::Io { action: "read", path, source: error }
            }
            Failure::Sled(error) => Error::Damaged { path, what: what(&error) },
            Failure::Panic(message) => {
                Error::Damaged { path, what: format!("the database gave up ({message})") }
            }
        }
    }

    /// The error of a write.
    pub(super) fn writing(self, index: &Path) -> Error {
        let path = index.to_owned();
        match self {
            Failure::Sled(sled::Error::Io(error)) => Error::Write { path, reason: reason(&error) },
            Failure::Sled(error) => Error::Damaged { path, what: what(&error) },
            Failure::Panic(message) => {
                Error::Damaged { path, what: format!("the database gave up ({message})") }
            }
        }
    }
}

/// A sentence for what the database found, without its internal terms.
fn what(error: &sled::Error) -> String {
    match error {
        sled::Error::Corruption { .. } => "a page of the database fails its checksum".into(),
        sled::Error::Io(error) => {
            format!("a file of the database cannot be read ({})", error.kind())
        }
        other => format!("the database cannot be read ({other})"),
    }
}

/// Whether a disk says by this that it takes no writes.
pub(super) fn refuses_writes(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
    )
}

/// What the system said, without the debug form that sled's copies of an error carry.
pub(super) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::StorageFull => "no space left on the disk".into(),
        ErrorKind::Other => error.to_string(),
        kind => kind.to_string(),
    }
}
