//! Loading a model again, by what the first load found and made of its weights.

#![allow(clippy::unwrap_used)] // a test that panics has found something
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use akin_encoder::{DEFAULT_MODEL, EncoderOptions, Precision, SentenceEncoder, hub};
use akin_fixtures::models;

/// What a process with this cache folder loads: fingerprints, and embeddings to the last bit.
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
    let load = |precision| {
        let options = EncoderOptions { precision, ..EncoderOptions::default() };
        let encoder = SentenceEncoder::load_with(&model, &options).unwrap();
        let texts = ["A man is eating food.", "", "A cheetah is running behind its prey in the evening."];
        let bits = |x: &f32| format!("{:08x}", x.to_bits());
        let embeddings = encoder.encode(&texts).unwrap().embeddings;
        format!("{} {}", encoder.fingerprint(), embeddings.as_slice().iter().map(bits).collect::<String>())
    };
    println!("loaded: {} {}", load(Precision::F32), load(Precision::Int8));
}

/// The files in a folder of the cache, with their content.
fn files(cache: &Path, kind: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(cache.join("akin").join(kind)).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn a_model_is_the_same_with_packed_weights_without_and_with_damaged_ones() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let first = load_with_cache(&cache);
    let written = files(&cache, "packed");
    assert_eq!(written.len(), 2, "one file a precision");
    assert_eq!(load_with_cache(&cache), first);
    assert_eq!(files(&cache, "packed"), written);

    for (number, (path, bytes)) in written.iter().enumerate() {
        let mut damaged = bytes.clone();
        damaged[bytes.len() / 2] ^= 1;
        let damaged = if number == 0 { &damaged[..] } else { &bytes[..bytes.len() / 3] };
        fs::write(path, damaged).unwrap();
    }
    assert_eq!(load_with_cache(&cache), first);
    assert_eq!(files(&cache, "packed"), written, "what is damaged is written anew");

    // Files under each other's names are of another precision.
    let paths: Vec<&PathBuf> = written.keys().collect();
    fs::copy(paths[0], paths[1]).unwrap();
    assert_eq!(load_with_cache(&cache), first);
    assert_eq!(files(&cache, "packed"), written);
}

#[test]
fn processes_that_pack_the_same_weights_at_a_time_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let cache = &folder.path().join("cache");
    let loaded: Vec<String> = std::thread::scope(|scope| {
        let processes: Vec<_> = (0..3).map(|_| scope.spawn(|| load_with_cache(cache))).collect();
        processes.into_iter().map(|process| process.join().unwrap()).collect()
    });
    assert!(loaded.iter().all(|line| *line == loaded[0]));
    assert_eq!(files(cache, "packed").len(), 2, "and leave nothing else");
    assert_eq!(load_with_cache(cache), loaded[0]);
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
