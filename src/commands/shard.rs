//! `akin shard`: cuts a corpus into parts of about equal work.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use akin_indexer::CorpusReader;
use akin_indexer::shard::Shards;
use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::commands::cli::ShardArguments;
use crate::commands::corpus::write_line;
use crate::commands::index::{print_json, tell_skipped};
use crate::commands::interrupt;
use crate::commands::output::{OutputFile, cannot_write, write_whole};
use crate::commands::terminal::{Terminal, counted, grouped};

/// The file that says that all parts are there.
const LIST: &str = "parts.json";

/// The most parts: their names have five digits.
const MOST_PARTS: usize = 100_000;

/// Reads the corpus through, then writes one part after another, and last the list of them.
pub fn run(arguments: &ShardArguments, terminal: &Terminal) -> anyhow::Result<()> {
    let parts = arguments.parts.get();
    if parts > MOST_PARTS {
        bail!("--parts {parts}: at most {} parts are written", grouped(MOST_PARTS));
    }
    if arguments.corpus.id_field == arguments.corpus.format.text_field {
        bail!("--id-field and --text-field are both {:?}: a document has both", arguments.corpus.id_field);
    }
    let corpus = CorpusReader::open(&arguments.corpus.paths, &arguments.corpus.options())?;
    let bar = terminal.bytes_bar();
    let shards = Shards::open(corpus, arguments.parts, &mut |surveyed| {
        bar.set_length(surveyed.of.unwrap_or(surveyed.bytes));
        bar.set_position(surveyed.bytes);
        interrupt::flow()
    });
    bar.finish_and_clear();
    let mut shards = shards?;
    if shards.documents() < parts {
        bail!(
            "{} cannot be cut into {parts} parts: take --parts {} or fewer",
            counted(shards.documents(), "document"),
            shards.documents().max(1)
        );
    }
    prepare(&arguments.output, parts)?;
    let written = write_parts(&mut shards, arguments, terminal)?;
    let list = json!({"parts": written.iter().map(Part::to_json).collect::<Vec<_>>()});
    write_whole(Some(&arguments.output.join(LIST)), &mut |output| Ok(writeln!(output, "{list}")?))?;
    tell(&written, &shards, terminal);
    if arguments.json { print_json(&list) } else { Ok(()) }
}

/// Makes the folder, refuses one with the parts of another cut, and takes away the list of an earlier run.
fn prepare(folder: &Path, parts: usize) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| cannot_write(folder))?;
    let ending = format!("-of-{parts:05}.jsonl");
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let name = entry.with_context(|| format!("cannot read {}", folder.display()))?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("part-") && name.contains("-of-") && !name.ends_with(&ending) {
            bail!(
                "{} has {name}, which is not one of {parts} parts: remove the parts there, or name another folder with \
                 --output",
                folder.display()
            );
        }
    }
    match fs::remove_file(folder.join(LIST)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| cannot_write(&folder.join(LIST)))
        }
        _ => Ok(()),
    }
}

/// Writes all parts, each whole before the next is begun.
fn write_parts(
    shards: &mut Shards,
    arguments: &ShardArguments,
    terminal: &Terminal,
) -> anyhow::Result<Vec<Part>> {
    let (id_field, text_field) = (&arguments.corpus.id_field, &arguments.corpus.format.text_field);
    let bar = terminal.count_bar(Some(shards.documents() as u64), "documents");
    let mut written: Vec<Part> = Vec::new();
    let mut open: Option<(Part, OutputFile)> = None;
    let mut line = Vec::new();
    for next in shards {
        interrupt::check()?;
        let next = next?;
        if let Some((part, output)) = open.take_if(|(part, _)| part.number != next.part) {
            output.finish()?;
            written.push(part);
        }
        let (part, output) = match &mut open {
            Some(open) => open,
            None => open.insert(Part::begin(arguments, next.part)?),
        };
        line.clear();
        write_line(&mut line, next.document, id_field, text_field)?;
        output.write_all(&line).with_context(|| cannot_write(&part.path))?;
        part.add(&line, next.tokens);
        bar.inc(1);
    }
    if let Some((part, output)) = open {
        output.finish()?;
        written.push(part);
    }
    bar.finish_and_clear();
    Ok(written)
}

/// A part that is being written.
struct Part {
    path: PathBuf,
    number: usize,
    documents: usize,
    tokens: u64,
    bytes: u64,
    checksum: crc32fast::Hasher,
}

impl Part {
    fn begin(arguments: &ShardArguments, number: usize) -> anyhow::Result<(Self, OutputFile)> {
        let name = format!("part-{number:05}-of-{:05}.jsonl", arguments.parts);
        let path = arguments.output.join(name);
        let output = OutputFile::create(&path)?;
        let checksum = crc32fast::Hasher::new();
        Ok((Self { path, number, documents: 0, tokens: 0, bytes: 0, checksum }, output))
    }

    fn add(&mut self, line: &[u8], tokens: u64) {
        self.documents += 1;
        self.tokens += tokens;
        self.bytes += line.len() as u64;
        self.checksum.update(line);
    }

    fn to_json(&self) -> Value {
        json!({
            "file": self.path.file_name().map(|name| name.to_string_lossy()),
            "documents": self.documents,
            "tokens": self.tokens,
            "bytes": self.bytes,
            "crc32": format!("{:08x}", self.checksum.clone().finalize()),
        })
    }
}

fn tell(written: &[Part], shards: &Shards, terminal: &Terminal) {
    let tokens = written.iter().map(|part| part.tokens);
    let (least, most) = (tokens.clone().min().unwrap_or(0), tokens.max().unwrap_or(0));
    terminal.note(format_args!(
        "{} in {} of {} to {} tokens, as estimated",
        counted(shards.documents(), "document"),
        counted(written.len(), "part"),
        grouped(least as usize),
        grouped(most as usize),
    ));
    if shards.duplicates() > 0 {
        terminal.note(format_args!(
            "{} in the corpus: the last of each was kept",
            counted(shards.duplicates(), "duplicate id")
        ));
    }
    tell_skipped(&shards.skipped(), terminal);
}
