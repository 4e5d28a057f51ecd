//! The folder that Hugging Face's libraries share, in their layout: what one of them fetched, all of them find.
//!
//! ```text
//! models--ORG--NAME/refs/main                   the commit that `main` was at
//! models--ORG--NAME/blobs/ETAG                  the content of a file
//! models--ORG--NAME/snapshots/COMMIT/FILE       a link to its blob
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The folder of one model in the cache.
pub(super) struct CachedModel {
    folder: PathBuf,
}

impl CachedModel {
    /// The folder of the model `id`, `org/name`, whether it is there or not.
    pub(super) fn of(cache: &Path, id: &str) -> Self {
        Self { folder: cache.join(format!("models--{}", id.replace('/', "--"))) }
    }

    /// The snapshot of the commit that `main` was at when it was last fetched.
    pub(super) fn main(&self) -> Option<PathBuf> {
        let commit = fs::read_to_string(self.folder.join("refs/main")).ok()?;
        let commit = commit.trim();
        is_name(commit).then(|| self.snapshot(commit))
    }

    /// The files of a commit.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The content of a file whose entity tag is `etag`.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Makes `file` of the snapshot of `commit` a link to the blob `etag`, and `main` that commit.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn add(&self, commit: &str, file: &str, etag: &str) -> Result<PathBuf> {
        let path = self.snapshot(commit).join(file);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(io("create", folder))?;
        if !path.exists() {
            // Relative, so that the cache can be moved: up from the file's folder, the commit's and `snapshots`.
            let up = "../".repeat(file.split('/').count() + 1);
            link(Path::new(&format!("{up}blobs/{etag}")), &self.blob(etag), &path)
                .map_err(io("write", &path))?;
        }
        let main = self.folder.join("refs/main");
        let refs = self.folder.join("refs");
        fs::create_dir_all(&refs).map_err(io("create", &refs))?;
        fs::write(&main, commit).map_err(io("write", &main))?;
        Ok(path)
    }
}

#[cfg(unix)]
fn link(relative: &Path, _: &Path, path: &Path) -> std::io::Result<()> {
    // A link that leads nowhere is one to a blob that was removed.
    if path.is_symlink() {
        fs::remove_file(path)?;
    }
    match std::os::unix::fs::symlink(relative, path) {
        // Another process was as quick.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Links need a privilege on Windows.
#[cfg(not(unix))]
fn link(_: &Path, blob: &Path, path: &Path) -> std::io::Result<()> {
    fs::copy(blob, path).map(|_| ())
}

/// Whether a hub's name of a commit or a blob is one name in a folder, and nothing that leads elsewhere.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// The error of a file of the cache.
pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_of_the_cache_are_refused() {
        for name in ["", ".", "..", "a/b", "../x", "/etc/passwd", "a b", "\\x"] {
            assert!(!is_name(name), "{name}");
        }
        assert!(is_name("53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"));
        assert!(is_name("e7b0375001f109a6b8873d756ad4f7bbb15fbaa5-gzip"));
    }
}
