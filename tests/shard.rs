//! `akin shard`, and what many machines rely on: a part, an encoding or an index is whole or not there, whatever is killed.

#![allow(clippy::unwrap_used)] // a test that panics has found something

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use akin_fixtures::Random;
use common::{Workplace, json_lines, sentences};

/// The files of a folder that have got their names.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let named = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()));
    named.filter(|(name, _)| !name.starts_with('.')).collect()
}

/// Runs `akin` and kills it after a while. Whether it had ended before.
fn killed_after(workplace: &Workplace, arguments: &[&str], while_: Duration) -> bool {
    let mut child = workplace.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(while_);
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    ended
}

#[test]
fn the_parts_have_the_documents_and_ids_of_the_whole_in_their_order() {
    let workplace = Workplace::new();
    for folder in ["a", "b"] {
        fs::create_dir(workplace.path(folder)).unwrap();
    }
    workplace.write("a/notes.txt", sentences(100).join("\n"));
    workplace.write("b/notes.txt", "one more\n\nand another\n");
    workplace.write(
        "c.jsonl",
        "{\"id\":\"x\",\"text\":\"early\",\"n\":1}\n{\"id\":\"x\",\"text\":\"late\",\"n\":{\"m\":2}}\n",
    );
    let corpus = ["a/notes.txt", "b", "a", "c.jsonl"];
    workplace.akin(&[&["shard"], &corpus[..], &["--parts", "5", "--output", "parts"]].concat()).succeeded();
    let parts = files(&workplace.path("parts"));
    let together: Vec<_> = parts
        .iter()
        .filter(|(name, _)| name.as_str() != "parts.json")
        .flat_map(|(_, bytes)| json_lines(std::str::from_utf8(bytes).unwrap()))
        .collect();
    workplace.akin(&[&["index", "whole"], &corpus[..]].concat()).succeeded();
    let whole = workplace.akin(&["export", "whole", "--documents", "-"]).succeeded().json_lines();
    let ids: Vec<_> = together.iter().map(|document| &document["id"]).collect();
    assert_eq!(together, whole, "{ids:?}");
    let list: serde_json::Value = serde_json::from_slice(&parts["parts.json"]).unwrap();
    for part in list["parts"].as_array().unwrap() {
        let bytes = &parts[part["file"].as_str().unwrap()];
        assert_eq!(part["bytes"], bytes.len());
        assert_eq!(part["crc32"], format!("{:08x}", crc32fast::hash(bytes)));
    }
}

#[test]
fn parts_are_even_and_the_same_again() {
    let workplace = Workplace::new();
    let text: String = sentences(2000)
        .iter()
        .enumerate()
        .fold(String::new(), |text, (n, sentence)| text + &format!("{}\n", sentence.repeat(1 + n % 7)));
    workplace.write("notes.txt", text);
    let shard = ["shard", "notes.txt", "--parts", "8", "--output", "parts", "--json"];
    let report = workplace.akin(&shard).succeeded().json();
    let tokens: Vec<f64> =
        report["parts"].as_array().unwrap().iter().map(|part| part["tokens"].as_f64().unwrap()).collect();
    let mean = tokens.iter().sum::<f64>() / 8.0;
    assert!(tokens.iter().all(|tokens| (tokens / mean - 1.0).abs() < 0.02), "{tokens:?}");
    let once = files(&workplace.path("parts"));
    workplace.akin(&shard).succeeded();
    assert_eq!(files(&workplace.path("parts")), once);
    let other = workplace.akin(&["shard", "notes.txt", "--parts", "4", "--output", "parts"]).refused();
    assert!(other.contains("which is not one of 4 parts"), "{other}");
    assert_eq!(files(&workplace.path("parts")), once);
}

#[test]
fn what_cannot_be_cut_leaves_nothing() {
    let workplace = Workplace::new();
    workplace.write("few.txt", "one\ntwo\n");
    let sentence = workplace.akin(&["shard", "few.txt", "--parts", "3", "--output", "parts"]).refused();
    assert!(sentence.contains("take --parts 2 or fewer"), "{sentence}");
    workplace.write("bad.jsonl", "{\"id\":\"a\",\"text\":\"b\"}\n{\"id\":\n");
    let sentence = workplace.akin(&["shard", "bad.jsonl", "--parts", "1", "--output", "parts"]).refused();
    assert!(sentence.contains("bad.jsonl:2"), "{sentence}");
    assert!(!workplace.path("parts").exists());
}

#[test]
fn a_killed_run_leaves_whole_parts_or_none_and_the_same_command_completes_them() {
    let workplace = Workplace::new();
    workplace.write("notes.txt", sentences(40_000).join("\n"));
    let shard = |folder| ["shard", "notes.txt", "--parts", "40", "--output", folder];
    let began = Instant::now();
    workplace.akin(&shard("whole")).succeeded();
    let took = began.elapsed();
    let whole = files(&workplace.path("whole"));
    assert_eq!(whole.len(), 41);
    let mut random = Random::new(7);
    for _ in 0..12 {
        killed_after(&workplace, &shard("parts"), took.mul_f64(random.below(1000) as f64 / 1000.0));
        for (name, bytes) in files(&workplace.path("parts")) {
            assert!(whole.get(&name) == Some(&bytes), "{name} has {} bytes", bytes.len());
        }
    }
    workplace.akin(&shard("parts")).succeeded();
    assert_eq!(files(&workplace.path("parts")), whole);
}

#[test]
fn a_killed_encoding_leaves_the_whole_file_or_none() {
    let workplace = Workplace::new();
    workplace.write("part.txt", sentences(3000).join("\n"));
    let encode = |file| ["encode", "part.txt", "--output", file];
    let began = Instant::now();
    workplace.akin(&encode("whole.npy")).succeeded();
    let took = began.elapsed();
    let whole = fs::read(workplace.path("whole.npy")).unwrap();
    let mut random = Random::new(8);
    for _ in 0..10 {
        killed_after(&workplace, &encode("part.npy"), took.mul_f64(random.below(1000) as f64 / 900.0));
        if let Ok(found) = fs::read(workplace.path("part.npy")) {
            assert!(found == whole, "{} bytes", found.len());
            fs::remove_file(workplace.path("part.npy")).unwrap();
        }
    }
    // Whoever encodes it writes the same bytes.
    workplace.akin(&[&encode("part.npy")[..], &["--threads", "1"]].concat()).succeeded();
    assert!(fs::read(workplace.path("part.npy")).unwrap() == whole);
}
