//! Files of an index that were changed, cut, lost, exchanged or replaced by something that is no file: an error,
//! or the right answers; never a panic, a wait without an end, or a wrong answer.
//!
//! `make torture` goes through many more bytes and lengths.

#![allow(clippy::unwrap_used)]

mod faulty;
mod fixture;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use akin_fixtures::Random;
use akin_index::{Error, Index, Reader, ReaderOptions, Reload, Result};
use fixture::{Fixture, answers, ask, compare, copy, files_below, is_of_storage};

/// How many bytes or lengths of a file are tried.
fn places(length: usize, few: usize) -> Vec<usize> {
    let most = if std::env::var_os("AKIN_TORTURE").is_some() { 50 * few } else { few };
    let mut random = Random::new(length as u64);
    let mut places: Vec<usize> = match length <= most {
        true => (0..length).collect(),
        false => (0..most).map(|_| random.below(length as u64) as usize).collect(),
    };
    // The end of a file says what is in it.
    places.extend(length.saturating_sub(few / 2)..length);
    places
}

/// Opens the index for changes too, and changes it if it can be opened.
fn write(path: &Path, fixture: &Fixture, context: &str) {
    let written = (|| -> Result<()> {
        let mut index = Index::open(path)?;
        index.verify()?;
        fixture.model.compare(&index.snapshot()).unwrap_or_else(|why| panic!("{context}: {why}"));
        index.delete(&["0"])?;
        index.set_default_ef(50)
    })();
    if let Err(error) = written {
        assert!(is_of_storage(&error) || matches!(error, Error::Write { .. }), "{context}: {error}");
    }
}

/// Holds a reader's answers against the right ones; tells whether the reader noticed.
fn read(path: &Path, right: &[Result<String>], context: &str) -> bool {
    let answers = answers(path);
    for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        let fits = is_of_storage(error) || matches!(error, Error::Invalid(_) | Error::Cancelled);
        assert!(fits, "{context}: {error}");
    }
    compare(&answers, right, context)
}

/// The files that a reader reads.
fn is_read(name: &Path) -> bool {
    name == Path::new("manifest") || name.starts_with("segments")
}

#[test]
fn a_changed_byte_of_any_file_is_an_error_or_changes_no_answer() {
    let fixture = Fixture::new(1);
    let right = answers(&fixture.path);
    let copied = fixture.path.with_file_name("copy");
    for name in files_below(&fixture.path) {
        let bytes = fs::read(fixture.path.join(&name)).unwrap();
        let (mut noticed, mut tried) = (0, 0);
        for (turn, place) in places(bytes.len(), if is_read(&name) { 60 } else { 20 }).into_iter().enumerate()
        {
            let context = format!("{} at {place}", name.display());
            let mut changed = bytes.clone();
            changed[place] ^= 1 << (place % 8);
            if is_read(&name) {
                fs::write(fixture.path.join(&name), &changed).unwrap();
                noticed += usize::from(read(&fixture.path, &right, &context));
                tried += 1;
            }
            if turn % 10 == 0 || !is_read(&name) {
                copy(&fixture.path, &copied);
                fs::write(copied.join(&name), &changed).unwrap();
                write(&copied, &fixture, &context);
            }
        }
        fs::write(fixture.path.join(&name), &bytes).unwrap();
        // Only the padding between sections may change unnoticed.
        assert!(noticed * 10 >= tried * 9, "{}: {noticed} of {tried}", name.display());
    }
    assert!(!read(&fixture.path, &right, "restored"));
}

#[test]
fn a_file_cut_at_any_length_is_an_error() {
    let fixture = Fixture::new(2);
    let right = answers(&fixture.path);
    let copied = fixture.path.with_file_name("copy");
    for name in files_below(&fixture.path) {
        let bytes = fs::read(fixture.path.join(&name)).unwrap();
        for (turn, length) in places(bytes.len(), 20).into_iter().enumerate() {
            let context = format!("{} cut at {length}", name.display());
            if is_read(&name) {
                fs::write(fixture.path.join(&name), &bytes[..length]).unwrap();
                assert!(read(&fixture.path, &right, &context), "{context}");
            }
            if turn % 4 == 0 || !is_read(&name) {
                copy(&fixture.path, &copied);
                fs::write(copied.join(&name), &bytes[..length]).unwrap();
                write(&copied, &fixture, &context);
            }
        }
        fs::write(fixture.path.join(&name), &bytes).unwrap();
    }
}

#[test]
fn a_file_of_another_index_or_of_an_older_commit_is_noticed() {
    let (fixture, other) = (Fixture::new(3), Fixture::other());
    let right = answers(&fixture.path);
    let copied = fixture.path.with_file_name("copy");
    let mut swapped = 0;
    for from in [&other.path, &fixture.older] {
        for name in files_below(&fixture.path) {
            let (own, theirs) = (fixture.path.join(&name), from.join(&name));
            if !theirs.exists() || fs::read(&own).unwrap() == fs::read(&theirs).unwrap() {
                continue;
            }
            let context = format!("{} of {}", name.display(), from.display());
            copy(&fixture.path, &copied);
            fs::copy(theirs, copied.join(&name)).unwrap();
            if is_read(&name) && (from == &other.path || name != Path::new("manifest")) {
                assert!(read(&copied, &right, &context), "{context}");
            }
            write(&copied, &fixture, &context);
            swapped += 1;
        }
        // And the whole catalogue.
        copy(&fixture.path, &copied);
        copy(&from.join("catalogue"), &copied.join("catalogue"));
        assert!(!read(&copied, &right, "a catalogue"));
        let opened = Index::open(&copied);
        match from == &other.path {
            true => assert!(matches!(opened, Err(Error::Catalogue { .. }))),
            false => fixture.model.compare(&opened.unwrap().snapshot()).unwrap(),
        }
    }
    assert!(swapped >= 6, "{swapped}");
}

/// Ways to put something else in the place of a file.
#[cfg(unix)]
/// Puts something else in the place of a file.
type Replace = fn(&Path);

fn replacements() -> Vec<(&'static str, Replace)> {
    use std::os::unix::fs::symlink;
    vec![
        ("nothing", |_| ()),
        ("a folder", |path| fs::create_dir(path).unwrap()),
        ("a link to itself", |path| symlink(path, path).unwrap()),
        ("a link to nothing", |path| symlink(path.with_extension("nowhere"), path).unwrap()),
        ("a pipe", |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
        ("an empty file", |path| fs::write(path, "").unwrap()),
    ]
}

#[cfg(unix)]
#[test]
fn something_else_in_the_place_of_a_file_is_an_error_and_holds_up_nobody() {
    let fixture = Fixture::new(4);
    let right = answers(&fixture.path);
    let copied = fixture.path.with_file_name("copy");
    for name in files_below(&fixture.path) {
        for (what, replace) in replacements() {
            let context = format!("{what} as {}", name.display());
            copy(&fixture.path, &copied);
            fs::remove_file(copied.join(&name)).unwrap();
            replace(&copied.join(&name));
            assert_eq!(read(&copied, &right, &context), is_read(&name), "{context}");
            write(&copied, &fixture, &context);
        }
    }
    for name in ["segments", "catalogue"] {
        for (what, replace) in replacements() {
            let context = format!("{what} as {name}");
            copy(&fixture.path, &copied);
            fs::remove_dir_all(copied.join(name)).unwrap();
            replace(&copied.join(name));
            assert_eq!(read(&copied, &right, &context), name == "segments", "{context}");
            write(&copied, &fixture, &context);
        }
    }
}

#[test]
fn a_reader_goes_on_with_what_it_opened_when_the_index_is_removed() {
    let fixture = Fixture::new(5);
    let right = answers(&fixture.path);
    for reload in [Reload::OnDemand, Reload::OnChange] {
        let copied: PathBuf = fixture.path.with_file_name("copy");
        copy(&fixture.path, &copied);
        let options = ReaderOptions { reload, threads: Some(1) };
        let reader = Reader::open_with(&copied, options).unwrap();
        fs::remove_dir_all(&copied).unwrap();
        assert!(!compare(&ask(&reader), &right, "removed"));
        assert!(matches!(reader.reload(), Err(Error::Io { .. })));
        assert!(!compare(&ask(&reader), &right, "removed"));
        assert!(matches!(Reader::open(&copied), Err(Error::NotAnIndex { .. })));
        assert_eq!(reader.stat().unwrap().bytes_on_disk, 0);
        // Another index takes its place.
        copy(&fixture.older, &copied);
        assert!(reader.reload().unwrap() || reload == Reload::OnChange);
        fixture.older_model.compare(&reader.snapshot()).unwrap();
    }
}
