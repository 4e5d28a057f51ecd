//! How much of the words of documents do our readers read, how long do they take, and which files do they refuse?
//!
//! `cargo bench --bench formats -- FOLDER…`: all files below the folders that a reader of a format of its own takes. Where a tree of
//! pandoc (`.native`) of the same name lies beside a file, *recall* is the share of its words that were read, and *precision* the
//! share of the words read that are in it. A JSON line for each format; with `LIST=1`, a line for each file that was refused.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use akin_indexer::documents::{self, Unread};
use serde_json::json;

/// Endings of the files that are read.
const ENDINGS: [&str; 14] =
    ["docx", "odt", "epub", "rtf", "pdf", "html", "htm", "ipynb", "pptx", "xlsx", "eml", "md", "odp", "ods"];

/// What was found of the files of a format.
#[derive(Default)]
struct Figures {
    files: usize,
    refused: usize,
    seconds: f64,
    slowest: f64,
    /// Of each file with a tree.
    recall: Vec<f64>,
    precision: Vec<f64>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folders = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let mut files = Vec::new();
    folders.for_each(|folder| list(Path::new(&folder), &mut files));
    if files.is_empty() {
        return Err("which folders? cargo bench --bench formats -- FOLDER…".into());
    }
    files.sort();
    let is_listing = std::env::var_os("LIST").is_some();
    let mut all: BTreeMap<String, Figures> = BTreeMap::new();
    for file in &files {
        let ending = file.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let figures = all.entry(ending).or_default();
        let bytes = fs::read(file)?;
        let begin = Instant::now();
        let read = documents::read(file, bytes, None, None);
        let seconds = begin.elapsed().as_secs_f64();
        figures.files += 1;
        figures.seconds += seconds;
        figures.slowest = figures.slowest.max(seconds);
        match read {
            Ok(read) => {
                if let Ok(tree) = fs::read_to_string(file.with_extension("native")) {
                    let (expected, found) = (words(&words_of_tree(&tree)), words(&read.text));
                    let both = shared(&expected, &found);
                    figures.recall.push(both / total(&expected).max(1.0));
                    figures.precision.push(both / total(&found).max(1.0));
                }
            }
            Err(unread) => {
                figures.refused += 1;
                if is_listing {
                    let reason = match unread {
                        Unread::NoDocument => "no document".to_owned(),
                        Unread::Because(reason) => reason,
                    };
                    println!("{}", json!({"file": file, "reason": reason}));
                }
            }
        }
    }
    for (format, figures) in all {
        let mean =
            |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        println!(
            "{}",
            json!({
                "format": format, "files": figures.files, "refused": figures.refused, "trees": figures.recall.len(),
                "recall": mean(&figures.recall), "precision": mean(&figures.precision),
                "seconds": figures.seconds, "slowest": figures.slowest,
            })
        );
    }
    Ok(())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, files);
        } else if path
            .extension()
            .is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
        {
            files.push(path);
        }
    }
}

/// The strings of a tree of pandoc, apart from addresses, attributes and formats.
fn words_of_tree(tree: &str) -> String {
    let mut text = String::new();
    for kind in ["Str", "Code", "CodeBlock", "Math"] {
        for (at, _) in tree.match_indices(kind) {
            let before = tree[..at].bytes().next_back().unwrap_or(b' ');
            let rest = &tree[at + kind.len()..];
            if before.is_ascii_alphabetic() || !rest.starts_with(char::is_whitespace) {
                continue;
            }
            // Attributes stand in parentheses before the string.
            text.push_str(&after_attributes(rest).map(unescaped).unwrap_or_default());
            text.push(' ');
        }
    }
    text
}

/// What follows the quote after an expression in parentheses, or after a word.
fn after_attributes(rest: &str) -> Option<&str> {
    let mut depth = 0;
    let mut in_string = false;
    for (at, letter) in rest.char_indices() {
        match letter {
            '"' if depth == 0 => return rest.get(at + 1..),
            '"' => in_string = !in_string,
            '(' if !in_string => depth += 1,
            ')' if !in_string => depth -= 1,
            _ => {}
        }
    }
    None
}

/// A string of Haskell up to its quote.
fn unescaped(rest: &str) -> String {
    let mut text = String::new();
    let mut letters = rest.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => {
                let mut digits = String::new();
                while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                match digits.parse().ok().and_then(char::from_u32) {
                    Some(letter) => text.push(letter),
                    None => match letters.next() {
                        Some('n' | 't') => text.push(' '),
                        Some('&') | None => {}
                        Some(other) => text.push(other),
                    },
                }
            }
            other => text.push(other),
        }
    }
    text
}

/// How often each word occurs: letters and digits, in small letters.
fn words(text: &str) -> HashMap<String, usize> {
    let mut words = HashMap::new();
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *words.entry(word.to_lowercase()).or_default() += 1;
    }
    words
}

fn total(words: &HashMap<String, usize>) -> f64 {
    words.values().sum::<usize>() as f64
}

fn shared(one: &HashMap<String, usize>, other: &HashMap<String, usize>) -> f64 {
    one.iter().map(|(word, count)| (*count).min(other.get(word).copied().unwrap_or(0))).sum::<usize>() as f64
}
