//! The files of a folder that are documents.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use ignore::WalkBuilder;
use ignore::overrides::{Override, OverrideBuilder};

use crate::{Error, Result};

/// The file of a folder that says what to leave out, beside `.gitignore`.
const IGNORE_FILE: &str = ".akinignore";

/// The first bytes of the manifest of an index.
const INDEX_MARK: &[u8] = b"AKINMAN\n";

/// A file that is one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentFile {
    pub(crate) path: PathBuf,
    /// Its path below its folder, with `/`; or as the user named it.
    pub(crate) id: String,
    pub(crate) stamp: Stamp,
}

/// What changes when a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stamp {
    pub(crate) bytes: u64,
    /// When it was changed last, in nanoseconds since 1970.
    pub(crate) modified: u64,
}

impl Stamp {
    pub(crate) fn of(metadata: &fs::Metadata) -> Self {
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        Self { bytes: metadata.len(), modified }
    }
}

/// The files below `root` in the order of their ids: without hidden ones, links, indexes, and what `.gitignore`,
/// `.akinignore` and the globs leave out.
///
/// # Errors
/// [`Error::Read`] if a folder cannot be listed, [`Error::Glob`] for a glob that is none.
pub(super) fn files_of(root: &Path, include: &[String], exclude: &[String]) -> Result<Vec<DocumentFile>> {
    let mut walk = WalkBuilder::new(root);
    // The same files from wherever they are indexed: what lies above the folder and the settings of a user have no say.
    walk.parents(false).git_global(false).git_exclude(false).require_git(false).follow_links(false);
    walk.add_custom_ignore_filename(IGNORE_FILE);
    walk.overrides(globs(root, include, exclude)?);
    walk.filter_entry(|entry| !is_index(entry.path()));
    let mut files = Vec::new();
    for entry in walk.build() {
        let entry = entry.map_err(|error| unlisted(root, &error))?;
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        // A file that vanished meanwhile is not there.
        let Ok(metadata) = entry.metadata() else { continue };
        let path = entry.into_path();
        let id = id_of(root, &path);
        files.push(DocumentFile { stamp: Stamp::of(&metadata), id, path });
    }
    files.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(files)
}

/// The path below the folder, with `/`.
fn id_of(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

fn globs(root: &Path, include: &[String], exclude: &[String]) -> Result<Override> {
    let mut globs = OverrideBuilder::new(root);
    let exclude = exclude.iter().map(|glob| (glob, format!("!{glob}")));
    for (glob, given) in include.iter().map(|glob| (glob, glob.clone())).chain(exclude) {
        globs.add(&given).map_err(|error| Error::Glob { glob: glob.clone(), reason: error.to_string() })?;
    }
    globs.build().map_err(|error| Error::Glob { glob: include.join(" "), reason: error.to_string() })
}

/// Whether a folder is an index: its files are no documents, also where it lies among those that it is of.
fn is_index(folder: &Path) -> bool {
    let mut mark = [0; INDEX_MARK.len()];
    let manifest = folder.join("manifest");
    // Anything but a file is not opened: a pipe would wait for ever.
    fs::symlink_metadata(&manifest).is_ok_and(|found| found.is_file())
        && fs::File::open(&manifest).and_then(|mut file| file.read_exact(&mut mark)).is_ok()
        && mark == INDEX_MARK
}

fn unlisted(root: &Path, error: &ignore::Error) -> Error {
    let path = match error {
        ignore::Error::WithPath { path, .. } => path.clone(),
        _ => root.to_owned(),
    };
    let reason = match error.io_error() {
        Some(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            "permission denied: check who may read it, or leave it out".to_owned()
        }
        _ => error.to_string(),
    };
    Error::Read { path, reason }
}

#[cfg(test)]
mod tests {
    use akin_fixtures::Folder;

    use super::*;

    fn ids(root: &Path, include: &[&str], exclude: &[&str]) -> Vec<String> {
        let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>();
        let files = files_of(root, &owned(include), &owned(exclude)).unwrap();
        files.into_iter().map(|file| file.id).collect()
    }

    fn folder_of(files: &[(&str, &str)]) -> Folder {
        let folder = Folder::new();
        for (name, content) in files {
            let path = folder.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    #[test]
    fn hidden_ignored_and_linked_files_and_indexes_are_left_out() {
        let folder = folder_of(&[
            ("a.md", ""),
            ("deep/er/b.txt", ""),
            ("deep/.gitignore", "*.log\n"),
            ("deep/x.log", ""),
            (".akinignore", "drafts/\n"),
            ("drafts/c.md", ""),
            (".hidden/d.md", ""),
            ("ix/manifest", "AKINMAN\nrest"),
            ("ix/e.md", ""),
            ("other/manifest", "no index"),
        ]);
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path("a.md"), folder.path("link.md")).unwrap();
        assert_eq!(ids(folder.root(), &[], &[]), ["a.md", "deep/er/b.txt", "other/manifest"]);
    }

    #[test]
    fn globs_choose_and_leave_out() {
        let folder = folder_of(&[("a.md", ""), ("b.txt", ""), ("deep/c.md", ""), ("deep/d.txt", "")]);
        assert_eq!(ids(folder.root(), &["*.md"], &[]), ["a.md", "deep/c.md"]);
        assert_eq!(ids(folder.root(), &[], &["deep/"]), ["a.md", "b.txt"]);
        assert_eq!(ids(folder.root(), &["*.md"], &["deep"]), ["a.md"]);
        let broken = files_of(folder.root(), &["[".into()], &[]);
        assert!(matches!(broken, Err(Error::Glob { glob, .. }) if glob == "["));
    }
}
