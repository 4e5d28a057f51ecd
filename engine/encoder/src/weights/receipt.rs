//! What was found of a file of weights when it was last loaded, so that the next load need not read all of it again.
//!
//! Hashing the weights for the fingerprint and looking for values that are no numbers read every byte, and take half of
//! the time of a load. A receipt keeps their result: the state of the hash, and which tensors were checked. It is a
//! small file in the user's cache folder (`$XDG_CACHE_HOME/akin/weights`, or `~/.cache/akin/weights`), and holds for
//! files of the same length, time of change, inode and device only: a file cannot be written to and keep its time of
//! change. One that is damaged, of another format or of another user is not used, and a load without a receipt works
//! as one with it.

use std::fs::{self, File, Metadata};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(unix)]
use std::time::{Duration, SystemTime};

use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};

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
pub(super) struct Identity(String);

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

/// Where the receipt of some files is kept.
pub(super) struct Place {
    folder: PathBuf,
    file: PathBuf,
}

impl Place {
    /// That of files which are found by `path`; nothing where the user has no cache folder.
    pub fn of(path: &Path) -> Option<Self> {
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(Self::in_folder(cache.join("akin").join("weights"), path))
    }

    fn in_folder(folder: PathBuf, path: &Path) -> Self {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = hex(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..16]);
        Self { file: folder.join(name), folder }
    }
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
        let file = File::open(&place.file).ok()?;
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || metadata.len() > MOST_BYTES || !is_ours(&metadata) {
            return None;
        }
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
        if let Err(error) = write_whole(place, text.as_bytes()) {
            tracing::debug!("no receipt of weights in {}: {error}", place.folder.display());
        }
    }
}

/// Writes a file that other processes see whole or not at all.
fn write_whole(place: &Place, bytes: &[u8]) -> std::io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    fs::create_dir_all(&place.folder)?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let new = place.file.with_extension(format!("{}-{number}", std::process::id()));
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&new)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&new, &place.file));
    if written.is_err() {
        drop(fs::remove_file(&new));
    }
    written
}

/// Whether a file belongs to the user of this process, and nobody else may write it.
#[cfg(unix)]
fn is_ours(file: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    Some(file.uid()) == akin_kernels::user::user_id() && file.mode() & 0o022 == 0
}

#[cfg(not(unix))]
fn is_ours(_: &Metadata) -> bool {
    false
}

/// The last line, which tells whether the others are whole.
fn seal_of(text: &str) -> String {
    hex(&Sha256::digest(text)) + "\n"
}

fn digest_of(hashed: &Sha256, checked: &str) -> String {
    hex(&hashed.clone().chain_update(checked).finalize())
}

fn digest_of_names(names: &[String]) -> String {
    names.iter().fold(Fingerprint::default(), |hashed, name| hashed.with(name.as_bytes())).digits()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

#[cfg(all(test, unix))]
mod tests;
