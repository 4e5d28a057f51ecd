//! How long does it take to add one document to a large index that is open?
//!
//! `cargo bench -p akin-index --bench adding -- [DOCUMENTS] [FOLDER]`: makes an index of 1,000,000 vectors of 384 numbers,
//! or opens the one that is in FOLDER, and adds one document 50 times. Each time is a whole commit, with everything on
//! the disk. Beside it stand the same files written and synced with nothing else done: what the disk takes at least.
//! `--replaced` adds documents of ids that the index has.

use std::fs::{self, File};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use akin_fixtures::Random;
use akin_fixtures::random::normalize;
use akin_index::{Document, Embeddings, Index, ModelIdentity};

const DIMENSION: usize = 384;
/// Documents that are committed together when the index is made.
const BATCH: usize = 65_536;
const AROUND_A_CENTRE: usize = 40;
const TIMES: usize = 50;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let is_replacing = arguments.iter().any(|argument| argument == "--replaced");
    let mut plain = arguments.iter().filter(|argument| !argument.starts_with("--"));
    let count = plain.next().map_or(1_000_000, |count| count.parse().expect("a number of documents"));
    let temporary = tempfile::tempdir().expect("there is a folder for temporary files");
    let path = plain.next().map_or_else(|| temporary.path().join("index"), PathBuf::from);

    let model = ModelIdentity::unknown(DIMENSION);
    let begun = Instant::now();
    let mut index = Index::open_or_create(&path, &model).expect("the index can be opened");
    println!("opened in {:.1?}", begun.elapsed());
    if index.len() < count {
        let begun = Instant::now();
        fill(&mut index, count);
        println!("{count} documents added in {:.0?}", begun.elapsed());
    }
    let stat = index.stat().expect("the index can be listed");
    println!(
        "{} documents in {} segments with a graph, {} beside",
        stat.documents,
        stat.segments.len(),
        stat.pending
    );

    let first = if is_replacing { 0 } else { stat.documents };
    let (mut times, mut limits) = (Vec::new(), Vec::new());
    for number in (first..).step_by(if is_replacing { stat.documents / TIMES } else { 1 }).take(TIMES) {
        let (document, vector) = (document(number), vectors(number, 1, count));
        let begun = Instant::now();
        index.upsert(&[document], &vector).expect("there is room on the disk");
        times.push(begun.elapsed());
        limits.push(limit(&path));
    }
    let (time, limit) = (median(&mut times), median(&mut limits));
    println!(
        "1 document added in {time:.2?} (median of {TIMES}; fastest {:.2?}, slowest {:.2?})",
        times[0],
        times[TIMES - 1]
    );
    println!("the disk alone: {limit:.2?}; ratio {:.2}", time.as_secs_f64() / limit.as_secs_f64());
}

fn fill(index: &mut Index, count: usize) {
    for first in (0..count).step_by(BATCH) {
        let documents: Vec<Document> = (first..count.min(first + BATCH)).map(document).collect();
        let vectors = vectors(first, documents.len(), count);
        index.upsert(&documents, &vectors).expect("there is room on the disk");
    }
    index.seal(&|_, _| ControlFlow::Continue(())).expect("there is room on the disk");
    index.merge(&|_, _| ControlFlow::Continue(())).expect("there is room on the disk");
}

fn document(number: usize) -> Document {
    let text = format!("This is document {number}, as long as a sentence.");
    Document { id: format!("document {number}"), text, ..Document::default() }
}

/// Unit vectors around centers, of so many documents from `first` on.
fn vectors(first: usize, count: usize, all: usize) -> Embeddings {
    let centers = (all / AROUND_A_CENTRE).max(1) as u64;
    let mut vectors = Embeddings::empty(DIMENSION);
    for number in first as u64..(first + count) as u64 {
        let mut own = Random::new(!number);
        let mut center = Random::new(own.below(centers));
        let mut row: Vec<f32> = (0..DIMENSION).map(|_| center.uniform() + 0.7 * own.uniform()).collect();
        normalize(&mut row);
        vectors.push(&row);
    }
    vectors
}

/// Writes and syncs as much as a commit does, in files of its own: a segment and its folder, the catalogue's log, the next
/// manifest and its folder.
fn limit(index: &Path) -> Duration {
    let folder = index.join("limit");
    fs::create_dir_all(&folder).expect("a folder can be made");
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("a file can be made");
    let begun = Instant::now();
    let write = || -> std::io::Result<()> {
        let mut segment = File::create_new(folder.join("segment"))?;
        segment.write_all(&[1; 2500])?;
        segment.sync_all()?;
        File::open(&folder)?.sync_all()?;
        (&log).write_all(&[2; 2500])?;
        log.sync_data()?;
        let mut manifest = File::create(folder.join("manifest.next"))?;
        manifest.write_all(&[3; 2500])?;
        manifest.sync_all()?;
        fs::rename(folder.join("manifest.next"), folder.join("manifest"))?;
        File::open(&folder)?.sync_all()
    };
    write().expect("there is room on the disk");
    let time = begun.elapsed();
    fs::remove_dir_all(folder).expect("the folder can be removed");
    time
}

/// Sorts times, and gives the middle one.
fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
