//! Files within a zip archive, as all office formats are: read with a bound, whatever the archive says of itself.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::blocks::MAX_TEXT_BYTES;

/// Files of an archive that are read, at most.
const MAX_FILES: usize = 20_000;

/// Bytes that are read of all files of an archive together.
const MAX_BYTES: usize = 4 * MAX_TEXT_BYTES;

/// An archive in memory.
pub(super) struct Archive {
    zip: ZipArchive<Cursor<Vec<u8>>>,
    left: usize,
}

impl Archive {
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, String> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| format!("damaged: {error}"))?;
        if zip.len() > MAX_FILES {
            return Err(format!("it has more than {MAX_FILES} parts"));
        }
        Ok(Self { zip, left: MAX_BYTES })
    }

    /// The names of its files.
    pub(super) fn names(&self) -> Vec<String> {
        self.zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect()
    }

    /// The bytes of a file; nothing where there is none of the name.
    pub(super) fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        if self.zip.index_for_name(name).is_none() {
            return Ok(None);
        }
        let part = self.zip.by_name(name).map_err(|error| match error {
            zip::result::ZipError::UnsupportedArchive(why) if why.contains("assword") => {
                "encrypted: it needs a password".to_owned()
            }
            error => format!("damaged: {name}: {error}"),
        })?;
        let mut bytes = Vec::new();
        part.take(self.left as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("damaged: {name}: {error}"))?;
        if bytes.len() > self.left {
            return Err(format!("it unpacks to more than {} MiB", MAX_BYTES >> 20));
        }
        self.left -= bytes.len();
        Ok(Some(bytes))
    }

    /// The characters of a file in UTF-8 or UTF-16.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        let bytes = self.bytes(name)?;
        Ok(bytes.map(|bytes| encoding_rs::UTF_8.decode(&bytes).0.into_owned()))
    }

    /// The same where there must be one.
    pub(super) fn required(&mut self, name: &str) -> Result<String, String> {
        self.text(name)?.ok_or_else(|| format!("damaged: there is no {name} in it"))
    }
}
