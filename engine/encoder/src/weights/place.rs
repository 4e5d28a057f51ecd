//! Where what is known of files is kept: folders of the user's cache, a file for each path.

use std::fs::{self, File, Metadata};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

/// A file in a folder of the user's cache, whether it is there or not.
pub(super) struct Place {
    pub folder: PathBuf,
    pub file: PathBuf,
}

impl Place {
    /// The one in the folder `kind` for files which are found by `path`; nothing where the user has no cache folder.
    pub fn of(path: &Path, kind: &str) -> Option<Self> {
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(Self::in_folder(cache.join("akin").join(kind), path))
    }

    pub(super) fn in_folder(folder: PathBuf, path: &Path) -> Self {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = hex(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..16]);
        Self { file: folder.join(name), folder }
    }

    /// The one beside it whose name ends with `suffix`.
    pub fn with_suffix(self, suffix: &str) -> Self {
        let mut name = self.file.file_name().unwrap_or_default().to_owned();
        name.push(suffix);
        Self { file: self.folder.join(name), ..self }
    }

    /// Opens the file if it belongs to the user of this process and nobody else may write it.
    pub fn open(&self) -> Option<(File, Metadata)> {
        let file = File::open(&self.file).ok()?;
        let metadata = file.metadata().ok()?;
        (metadata.is_file() && is_ours(&metadata)).then_some((file, metadata))
    }

    /// Writes the file. Other processes see it whole or not at all.
    pub fn write(&self, write: impl FnOnce(&mut File) -> std::io::Result<()>) -> std::io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(&self.folder)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let new = self.file.with_extension(format!("{}-{number}", std::process::id()));
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&new).and_then(|mut file| {
            write(&mut file)?;
            file.flush()
        });
        let written = written.and_then(|()| fs::rename(&new, &self.file));
        if written.is_err() {
            drop(fs::remove_file(&new));
        }
        written
    }
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

/// The line that tells whether the lines before it are whole.
pub(super) fn seal_of(text: &str) -> String {
    hex(&Sha256::digest(text)) + "\n"
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
