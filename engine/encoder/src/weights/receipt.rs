//! What was found of a file of weights when it was last loaded, so that the next load need not read all of it again.
//!
//! Hashing the weights for the fingerprint and looking for values that are no numbers read every byte, and take half of
//! the time of a load. A receipt keeps their result: the state of the hash, and which tensors were checked. It is a
//! small file in the user's cache folder (`$XDG_CACHE_HOME/akin/weights`, or `~/.cache/akin/weights`), and holds for
//! files of the same length, time of change, inode and device only: a file cannot be written to and keep its time of
//! change. One that is damaged, of another format or of another user is not used, and a load without a receipt works
//! as one with it.

use std::fs::Metadata;
use std::io::{Read, Write};
#[cfg(unix)]
use std::time::{Duration, SystemTime};

use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};

use super::place::{Place, hex, seal_of};
use crate::fingerprint::Fingerprint;

/// The first line. The number is that of the format.
const FORMAT: &str = "akin weights 1";
/// Shorter files are read faster than a receipt is written.
const LEAST_BYTES: u64 = 16 << 20;
/// A receipt is longer than this in no case.
const MOST_BYTES: u64 = 1 << 20;
/// A file that was changed so shortly ago may change again without another time.
#[cfg(unix)]
const SETTLED: Duration = Duration::from_secs(3);

/// What files are, apart from their content: length, times and place of each, a line a file.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Identity(pub(super) String);

impl Identity {
    /// That of open files; nothing where the system does not say enough, or the files are short.
    pub fn of(files: &[Metadata]) -> Option<Self> {
        let long = files.iter().map(Metadata::len).sum::<u64>() >= LEAST_BYTES;
        let lines = files.iter().map(line).collect::<Option<Vec<String>>>();
        lines.filter(|_| long).map(|lines| Self(lines.concat()))
    }
}

#[cfg(unix)]
fn line(file: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let modified = (file.mtime(), file.mtime_nsec());
    let changed = (file.ctime(), file.ctime_nsec());
    // The system's time of change is set by every write, and by nobody's wish.
    let newest = u64::try_from(changed.0.max(modified.0)).ok()?;
    let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH + Duration::from_secs(newest)).ok()?;
    (age >= SETTLED).then(|| {
        let (length, inode, device) = (file.len(), file.ino(), file.dev());
        format!(
            "file {length} {}.{:09} {}.{:09} {inode} {device}\n",
            modified.0, modified.1, changed.0, changed.1
        )
    })
}

#[cfg(not(unix))]
fn line(_: &Metadata) -> Option<String> {
    None
}

/// What is known of files.
pub(super) struct Receipt {
    hashed: Sha256,
    /// SHA-256 of the names of the tensors whose values are numbers.
    checked: String,
}

impl Receipt {
    /// What is known of files with this identity: nothing, if anything is wrong with the receipt.
    pub fn read(place: &Place, identity: &Identity) -> Option<Self> {
        let (file, _) = place.open().filter(|(_, metadata)| metadata.len() <= MOST_BYTES)?;
        let mut text = String::new();
        file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
        let (text, seal) = text.rsplit_once("seal ")?;
        // First of all: a hash that goes on from a state which never was may do anything.
        if seal != seal_of(text) {
            return None;
        }
        let rest = text.strip_prefix(FORMAT)?.strip_prefix('\n')?.strip_prefix(&identity.0)?;
        let mut lines = rest.lines();
        let mut value = |name: &str| lines.next()?.strip_prefix(name);
        let (checked, state, digest) = (value("checked ")?, value("state ")?, value("digest ")?);
        let state = SerializedState::<Sha256>::try_from(&unhex(state)?[..]).ok()?;
        let hashed = Sha256::deserialize(&state).ok()?;
        // Also where a later version of the hash has states of another form.
        (digest_of(&hashed, checked) == digest).then(|| Self { hashed, checked: checked.to_owned() })
    }

    /// Whether the values of these tensors are known to be numbers.
    pub fn covers(&self, names: &[String]) -> bool {
        self.checked == digest_of_names(names)
    }

    /// The hash of the content of the files.
    pub fn hashed(&self) -> Fingerprint {
        Fingerprint::from(self.hashed.clone())
    }

    /// Keeps what was found. A receipt that cannot be written is none.
    pub fn write(place: &Place, identity: &Identity, hashed: &Fingerprint, names: &[String]) {
        let checked = digest_of_names(names);
        let (state, digest) = (hex(&hashed.state().serialize()), digest_of(hashed.state(), &checked));
        let text = format!("{FORMAT}\n{}checked {checked}\nstate {state}\ndigest {digest}\n", identity.0);
        let text = format!("{text}seal {}", seal_of(&text));
        if let Err(error) = place.write(|file| file.write_all(text.as_bytes())) {
            tracing::debug!("no receipt of weights in {}: {error}", place.folder.display());
        }
    }
}

fn digest_of(hashed: &Sha256, checked: &str) -> String {
    hex(&hashed.clone().chain_update(checked).finalize())
}

fn digest_of_names(names: &[String]) -> String {
    names.iter().fold(Fingerprint::default(), |hashed, name| hashed.with(name.as_bytes())).digits()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

#[cfg(all(test, unix))]
mod tests;
