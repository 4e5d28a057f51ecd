//! Output files that get their name when they are complete, so that a failed run leaves no half file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use tempfile::{Builder, NamedTempFile};

use crate::commands::interrupt::{self, Clean, Interrupted};

/// A file that gets its name when it is complete: until then it lies beside its place under another
/// name, and goes away if it is dropped.
pub struct OutputFile {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    /// An interrupted command removes it.
    _clean: Clean,
}

impl OutputFile {
    /// Begins the file that will be at `path`, and replace what is there.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        // Write through a link, as opening the file would have done.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if path.is_dir() {
            bail!("cannot write {}: it is a directory", path.display());
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            bail!("{}: there is no folder {}: make it first", cannot_write(&path), folder.display());
        }
        let mut builder = Builder::new();
        builder.prefix(".akin-").suffix(".part");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let clean = Clean::begin();
        let file = builder.tempfile_in(folder).map_err(without_path).with_context(|| cannot_write(&path))?;
        Ok(Self { path, file: BufWriter::new(file), _clean: clean })
    }

    /// Gives the file its name.
    pub fn finish(self) -> anyhow::Result<()> {
        let Self { path, file, _clean } = self;
        let file =
            file.into_inner().map_err(io::IntoInnerError::into_error).with_context(|| cannot_write(&path))?;
        file.as_file().sync_all().with_context(|| cannot_write(&path))?;
        file.persist(&path).map_err(|error| error.error).with_context(|| cannot_write(&path))?;
        sync_name(&path).with_context(|| cannot_write(&path))
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if interrupt::asked() {
            return Err(Interrupted::default().into());
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for OutputFile {
    fn seek(&mut self, position: io::SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

/// Has the name of a file on the disk: after a loss of power it is there, and complete.
#[cfg(unix)]
fn sync_name(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
}

/// Other systems have no call for it.
#[cfg(not(unix))]
fn sync_name(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Writes a whole file, complete or not there at all, or a device or pipe, or stdout if `path` is `-` or not
/// given.
pub fn write_whole(
    path: Option<&Path>,
    write: &mut dyn FnMut(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Some(path) = path.filter(|path| path.as_os_str() != "-") else {
        let mut output = BufWriter::new(io::stdout().lock());
        write(&mut output).and_then(|()| Ok(output.flush()?)).context("cannot write to stdout")?;
        return Ok(());
    };
    if let Some(device) = open_special(path)? {
        let mut output = BufWriter::new(device);
        return write(&mut output).and_then(|()| Ok(output.flush()?)).with_context(|| cannot_write(path));
    }
    let mut output = OutputFile::create(path)?;
    write(&mut output).with_context(|| cannot_write(path))?;
    output.finish()
}

/// Opens `path` for writing if it is a device or a pipe, which no file must replace.
pub fn open_special(path: &Path) -> anyhow::Result<Option<File>> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => {
            let file = OpenOptions::new().write(true).open(path).with_context(|| cannot_write(path))?;
            Ok(Some(file))
        }
        _ => Ok(None),
    }
}

/// What to say of a write to `path` that failed.
pub fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// Without the random name that `tempfile` puts into its errors and that means nothing to a user.
fn without_path(error: io::Error) -> io::Error {
    error.kind().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_replaces_the_old_one_only_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "old").unwrap();
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        file.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = OutputFile::create(&folder.path().join("out")).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = OutputFile::create(&folder.path().join("nowhere/out")).err().unwrap();
        let message = format!("{error:#}");
        assert!(message.contains("nowhere: make it first"), "{message}");
    }

    #[test]
    fn a_directory_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = OutputFile::create(folder.path()).err().unwrap();
        assert!(error.to_string().contains("is a directory"), "{error}");
    }
}
