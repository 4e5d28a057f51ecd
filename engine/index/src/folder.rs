//! What a folder holds, before anything of it is opened.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::Found;
use crate::manifest::FORMAT;
use crate::storage::folder::{CATALOGUE, LOCK, MANIFEST, SEGMENTS, SOCKET};
use crate::{Error, Result, upgrade};

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    /// A published index.
    Index,
    /// An index of an older format.
    Older,
    /// No index.
    Other(Found),
}

/// Looks at a path.
///
/// # Errors
/// [`Error::Io`] if it cannot be read.
pub(crate) fn contents(path: &Path) -> Result<Contents> {
    let reading = |source| Error::Io { action: "read", path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Ok(Contents::Other(Found::File)),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Contents::Other(Found::Nothing)),
        Err(error) => return Err(reading(error)),
    }
    if path.join(MANIFEST).try_exists().map_err(reading)? {
        return Ok(Contents::Index);
    }
    if upgrade::is_older(path) {
        return Ok(Contents::Older);
    }
    let (mut ours, mut others) = (false, false);
    for entry in fs::read_dir(path).map_err(reading)? {
        match entry.map_err(reading)?.file_name().to_str() {
            Some(LOCK | SEGMENTS | CATALOGUE | "manifest.next") => ours = true,
            Some(SOCKET) => {}
            _ => others = true,
        }
    }
    Ok(Contents::Other(match (ours, others) {
        (_, true) => Found::OtherFolder,
        (true, false) => Found::Interrupted,
        (false, false) => Found::EmptyFolder,
    }))
}

/// Refuses a path that holds no index of this format.
pub(crate) fn require_index(path: &Path) -> Result<()> {
    match contents(path)? {
        Contents::Index => Ok(()),
        Contents::Older => Err(Error::Format { path: path.to_owned(), found: 3, known: FORMAT }),
        Contents::Other(found) => Err(Error::NotAnIndex { path: path.to_owned(), found }),
    }
}
