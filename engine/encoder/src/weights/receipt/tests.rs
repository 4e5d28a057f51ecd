//! What a receipt is worth after files have changed, or it has.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A file that is long enough and was last changed long ago, as far as `Identity` can tell.
fn identity(of: &Path) -> Identity {
    let file = fs::metadata(of).expect("a file");
    Identity(format!("file {} {} {}\n", file.len(), file.mtime_nsec(), file.ino()))
}

fn written(folder: &Path) -> (Place, Identity, Fingerprint) {
    let source = folder.join("model.safetensors");
    fs::write(&source, "weights").expect("a file");
    let place = Place::in_folder(folder.join("cache"), &source);
    let (identity, hashed) = (identity(&source), Fingerprint::default().with(b"weights"));
    Receipt::write(&place, &identity, &hashed, &names(&["a", "b"]));
    (place, identity, hashed)
}

#[test]
fn a_receipt_gives_the_hash_that_reading_the_weights_gives() {
    let folder = tempfile::tempdir().expect("a folder");
    let (place, identity, hashed) = written(folder.path());
    let receipt = Receipt::read(&place, &identity).expect("a receipt");
    assert_eq!(receipt.hashed().with(b"more").digits(), hashed.with(b"more").digits());
    assert!(receipt.covers(&names(&["a", "b"])));
    assert!(!receipt.covers(&names(&["a"])) && !receipt.covers(&names(&["a", "c"])));
    let files = fs::read_dir(folder.path().join("cache")).expect("a folder").count();
    assert_eq!(files, 1, "nothing else is left there");
}

#[test]
fn a_receipt_of_other_files_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let (place, identity, _) = written(folder.path());
    assert!(Receipt::read(&place, &Identity(identity.0.replace("file 7", "file 8"))).is_none());
    assert!(Receipt::read(&place, &Identity(format!("{0}{0}", identity.0))).is_none());
    let other = Place::in_folder(folder.path().join("cache"), &folder.path().join("other"));
    assert!(Receipt::read(&other, &identity).is_none());
}

#[test]
fn a_receipt_with_any_byte_changed_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let (place, identity, _) = written(folder.path());
    let whole = fs::read(&place.file).expect("a receipt");
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&place.file, &damaged).expect("a file");
        assert!(Receipt::read(&place, &identity).is_none(), "byte {at}");
        fs::write(&place.file, &whole[..at]).expect("a file");
        assert!(Receipt::read(&place, &identity).is_none(), "cut at {at}");
    }
    fs::write(&place.file, vec![b'0'; 2 << 20]).expect("a file");
    assert!(Receipt::read(&place, &identity).is_none());
}

#[test]
fn a_receipt_that_others_may_write_is_not_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let (place, identity, _) = written(folder.path());
    for (mode, used) in [(0o600, true), (0o644, true), (0o664, false), (0o646, false)] {
        fs::set_permissions(&place.file, fs::Permissions::from_mode(mode)).expect("it is ours");
        assert_eq!(Receipt::read(&place, &identity).is_some(), used, "{mode:o}");
    }
    fs::remove_file(&place.file).expect("it is ours");
    fs::create_dir(&place.file).expect("a folder in its place");
    assert!(Receipt::read(&place, &identity).is_none());
}

#[test]
fn short_files_and_those_just_changed_have_no_identity() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let file = File::create(&path).expect("a file");
    assert!(Identity::of(&[file.metadata().expect("a file")]).is_none(), "short");
    file.set_len(LEAST_BYTES).expect("a sparse file");
    assert!(Identity::of(&[file.metadata().expect("a file")]).is_none(), "changed just now");
}
