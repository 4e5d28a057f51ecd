//! Loading a model again, by what the first load found of its weights.

#![allow(clippy::unwrap_used)] // a test that panics has found something
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use akin_encoder::{DEFAULT_MODEL, SentenceEncoder, hub};
use akin_fixtures::models;

/// What a process with this cache folder loads: the fingerprint, and an embedding.
fn load_with_cache(cache: &Path) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["a_model_in_a_process_of_its_own", "--exact", "--ignored", "--nocapture"]);
    let output = command.env("XDG_CACHE_HOME", cache).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find(|line| line.contains("loaded: ")).unwrap().to_owned()
}

#[test]
#[ignore = "the test below runs it, each time with another cache folder"]
fn a_model_in_a_process_of_its_own() {
    let model = models::minilm(hub::installed(DEFAULT_MODEL));
    let encoder = SentenceEncoder::load(&model).unwrap();
    let encoding = encoder.encode(&["A man is eating food."]).unwrap();
    println!("loaded: {} {:?}", encoder.fingerprint(), encoding.embeddings.row(0));
}

#[test]
fn a_model_is_the_same_with_a_receipt_without_and_with_a_damaged_one() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let first = load_with_cache(&cache);
    let receipts: Vec<PathBuf> =
        fs::read_dir(cache.join("akin/weights")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [receipt] = &receipts[..] else { panic!("one receipt: {receipts:?}") };
    let written = fs::read(receipt).unwrap();
    assert!(written.len() < 2000, "{} bytes", written.len());
    assert_eq!(load_with_cache(&cache), first);
    assert_eq!(fs::read(receipt).unwrap(), written);

    fs::write(receipt, &written[..written.len() / 2]).unwrap();
    assert_eq!(load_with_cache(&cache), first);
    assert_eq!(fs::read(receipt).unwrap(), written, "a damaged receipt is written anew");

    // A cache folder that cannot be: a load needs none.
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(load_with_cache(&file), first);
}
