//! Segment files that contradict themselves under checksums that hold: an error or the right answers, and never
//! a panic.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use super::layout::TRAILER;
use super::sections::{BLOCK, Placed, Section, Trailer};
use super::write::{Header, file_name};
use crate::manifest::{Manifest, decode, encode};
use crate::storage::{Memory, Storage};
use crate::{
    Document, Embeddings, Error, Filter, Index, ModelIdentity, Passage, Reader, ReaderOptions, Result,
    SEAL_PASSAGES, SearchOptions,
};

const DOCUMENTS: usize = SEAL_PASSAGES / 2 + 100;

/// Two numbers that look random for each row.
fn vector(row: usize) -> [f32; 2] {
    let angle = (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as f32;
    [angle.sin(), angle.cos()]
}

/// An index of one sealed segment whose documents have two passages each.
fn sealed() -> Memory {
    let storage = Memory::new();
    let model = ModelIdentity::unknown(2);
    let mut index = Index::open_or_create_in(Arc::new(storage.clone()), &model).unwrap();
    let documents: Vec<Document> = (0..DOCUMENTS)
        .map(|i| Document { id: i.to_string(), text: "two parts".into(), ..Document::default() })
        .collect();
    let passages = vec![vec![Passage { start: 0, end: 3 }, Passage { start: 4, end: 9 }]; DOCUMENTS];
    let vectors = Embeddings::from_values(2, (0..2 * DOCUMENTS).flat_map(vector).collect());
    index.upsert_passages(&documents, Some(&passages), &vectors).unwrap();
    index.seal(&|_, _| ControlFlow::Continue(())).unwrap();
    drop(index);
    storage
}

/// A segment file whose sections and directory can be changed.
struct Crafted {
    body: Vec<u8>,
    header: Header,
}

impl Crafted {
    fn place(&self, section: Section) -> &Placed {
        self.header.sections.iter().find(|placed| placed.name == section.name()).unwrap()
    }

    fn range(&self, section: Section) -> Range<usize> {
        let placed = self.place(section);
        placed.offset as usize..(placed.offset + placed.length) as usize
    }

    /// The numbers of a section.
    fn numbers(&mut self, section: Section) -> &mut [u32] {
        let range = self.range(section);
        bytemuck::cast_slice_mut(&mut self.body[range])
    }

    /// Makes the checksums of a section hold.
    fn seal(&mut self, section: Section) {
        let range = self.range(section);
        let table: Vec<u8> =
            self.body[range].chunks(BLOCK).flat_map(|block| crc32fast::hash(block).to_le_bytes()).collect();
        let at = self.header.sections.iter().position(|placed| placed.name == section.name()).unwrap();
        let begin = self.header.sections[at].checksums as usize;
        self.body[begin..begin + table.len()].copy_from_slice(&table);
        self.header.sections[at].checksum = crc32fast::hash(&table);
    }
}

/// An index whose segment was changed, with a manifest that names it as it is.
fn craft(from: &Memory, change: &dyn Fn(&mut Crafted)) -> Memory {
    let storage = Memory::new();
    let mut manifest = Manifest::from_bytes(&from.manifest().unwrap().unwrap()).unwrap();
    let record = &mut manifest.segments[0];
    let blob = from.open(&file_name(record.id)).unwrap();
    let trailer = Trailer::read(&blob).unwrap();
    let end = blob.bytes().len() - TRAILER;
    let begin = u64::from_le_bytes(*blob.bytes()[end + 32..].first_chunk().unwrap()) as usize;
    let header = decode(&blob.bytes()[begin..end]).unwrap();
    let mut crafted = Crafted { body: blob.bytes()[..begin].to_vec(), header };
    change(&mut crafted);
    let directory = encode(&crafted.header);
    let (end, checksum) = Trailer::bytes(trailer.index, record.id, begin as u64, &directory);
    let bytes = [&crafted.body[..], &directory, &end].concat();
    (record.checksum, record.length) = (checksum, bytes.len() as u64);
    let mut output = storage.create(&file_name(record.id)).unwrap();
    output.append(&bytes).unwrap();
    output.finish().unwrap();
    storage.publish(&manifest.to_bytes(), None).unwrap();
    storage
}

/// All that an index answers. Before and after it verifies, and at the end from graphs in memory.
fn answers(storage: &Memory) -> Vec<Result<String>> {
    let options = ReaderOptions { threads: Some(1), ..ReaderOptions::default() };
    let reader = match Reader::of(Arc::new(storage.clone()), options) {
        Ok(reader) => reader,
        Err(error) => return vec![Err(error)],
    };
    let mut answers = Vec::new();
    for turn in 0..3 {
        let snapshot = reader.snapshot();
        if turn == 2 {
            snapshot.load();
        }
        let all = snapshot.select(&Filter::parse("not x = 1").unwrap());
        for (exact, row) in [(false, 0), (false, 77), (false, 4000), (true, 5)] {
            for among in [None, all.as_ref().ok().cloned()] {
                let options = SearchOptions { k: 9, ef: Some(40), exact, among };
                answers.push(snapshot.search(&vector(row), &options).map(|hits| format!("{hits:?}")));
            }
        }
        for id in (0..DOCUMENTS).step_by(97) {
            answers.push(snapshot.get(&id.to_string()).map(|found| format!("{found:?}")));
        }
        answers.push(snapshot.verify().map(|seen| seen.documents.to_string()));
    }
    answers
}

fn is_damage(answer: &Result<String>) -> bool {
    matches!(answer, Err(Error::Damaged { .. }))
}

/// The answers of a changed index are right or errors, and verifying it is an error.
fn refuse(from: &Memory, right: &[Result<String>], what: &str, change: &dyn Fn(&mut Crafted)) {
    let answers = answers(&craft(from, change));
    assert!(answers.iter().any(is_damage), "{what}: no error");
    for (at, answer) in answers.iter().enumerate().filter(|(_, answer)| !is_damage(answer)) {
        let answer = answer.as_ref().unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(Some(answer), right[at].as_ref().ok(), "{what}: answer {at}");
    }
    if answers.len() > 1 {
        let verified = answers.iter().skip(answers.len() / 3 - 1).step_by(answers.len() / 3);
        assert!(verified.into_iter().all(is_damage), "{what}: it verifies");
    }
}

#[test]
fn contradictions_under_right_checksums_are_errors_and_never_a_panic() {
    let from = sealed();
    let right = answers(&from);
    assert!(right.iter().all(Result::is_ok), "{right:?}");
    let same = answers(&craft(&from, &|_| ()));
    assert!(same.iter().zip(&right).all(|(a, b)| a.as_ref().ok() == b.as_ref().ok()));
    let numbers = |section: Section, change: fn(&mut [u32])| {
        move |crafted: &mut Crafted| {
            change(crafted.numbers(section));
            crafted.seal(section);
        }
    };
    let points = 2 * DOCUMENTS as u32;
    assert!(points < 5000);
    let refuse = |what: &str, change: &dyn Fn(&mut Crafted)| refuse(&from, &right, what, change);
    refuse("a base list names no point", &numbers(Section::GraphBase, |lists| lists[0] = 5000));
    refuse("every base list does", &numbers(Section::GraphBase, |lists| lists.fill(1 << 30)));
    refuse("an upper list names no point", &numbers(Section::GraphUpper, |lists| lists[0] = 4000));
    refuse("every upper list does", &numbers(Section::GraphUpper, |lists| lists.fill(4000)));
    refuse("a point is no row", &numbers(Section::GraphRows, |rows| rows[0] = 5000));
    refuse("no point is a row", &numbers(Section::GraphRows, |rows| rows.fill(u32::MAX)));
    refuse("an id is of no document", &numbers(Section::IdDocuments, |ids| ids[3] = 5000));
    refuse("no id is of a document", &numbers(Section::IdDocuments, |ids| ids.fill(u32::MAX)));
    refuse("a record ends before it begins", &numbers(Section::DocumentEnds, |ends| ends[20] = 1));
    refuse("a record ends beyond the last", &numbers(Section::DocumentEnds, |ends| ends[21] = 1 << 20));
    refuse("no record ends", &numbers(Section::DocumentEnds, |ends| ends.fill(u32::MAX)));
    refuse("a document has no passage", &numbers(Section::FirstPassages, |first| first[9] = first[8]));
    refuse(
        "passages beyond the last",
        &numbers(Section::FirstPassages, |first| {
            *first.last_mut().unwrap() = 5000;
        }),
    );
    refuse("a passage ends before it begins", &numbers(Section::Spans, |spans| spans[0] = 5));
    refuse("a passage ends beyond its text", &numbers(Section::Spans, |spans| spans[155] = 99));
    refuse("vectors are no numbers", &numbers(Section::Vectors, |values| values[8] = f32::NAN.to_bits()));
}

#[test]
fn directories_that_cannot_be_are_refused_when_the_index_is_opened() {
    let from = sealed();
    let change = |section: Section, change: fn(&mut Placed)| {
        move |crafted: &mut Crafted| {
            let found = crafted.header.sections.iter_mut().find(|placed| placed.name == section.name());
            change(found.unwrap());
        }
    };
    let refuse = |what: &str, change: &dyn Fn(&mut Crafted)| {
        let answers = answers(&craft(&from, change));
        assert!(answers.len() == 1 && is_damage(&answers[0]), "{what}: {:?}", answers[0]);
    };
    for section in [Section::Vectors, Section::Documents, Section::GraphUpper, Section::Codes] {
        refuse("2^63 bytes", &change(section, |placed| placed.length = 1 << 63));
        refuse("all bytes there can be", &change(section, |placed| placed.length = u64::MAX));
        refuse("an offset that overflows", &change(section, |placed| placed.offset = u64::MAX - 63));
        refuse("a table beyond the file", &change(section, |placed| placed.checksums = u64::MAX - 3));
        refuse("not at a cache line", &change(section, |placed| placed.offset += 4));
        refuse("one block beyond", &change(section, |placed| placed.length += 1 << 24));
    }
    refuse("vectors over codes", &|crafted| {
        let vectors = crafted.place(Section::Vectors).clone();
        let codes = crafted.header.sections.iter_mut().find(|placed| placed.name == "codes");
        codes.unwrap().clone_from(&Placed { name: "codes".into(), ..vectors });
    });
    refuse("places in the text over vectors", &|crafted| {
        let vectors = crafted.place(Section::Vectors).clone();
        let spans = crafted.header.sections.iter_mut().find(|placed| placed.name == "passages.spans");
        assert_eq!(spans.as_ref().unwrap().length, vectors.length);
        spans.unwrap().clone_from(&Placed { name: "passages.spans".into(), ..vectors });
    });
    refuse("a section twice", &|crafted| {
        let twice = crafted.header.sections[0].clone();
        crafted.header.sections.push(twice);
    });
    refuse("2^63 documents", &|crafted| crafted.header.documents = 1 << 63);
    refuse("2^63 passages", &|crafted| crafted.header.passages = 1 << 63);
    refuse("2^63 dimensions", &|crafted| crafted.header.dimension = 1 << 63);
    refuse("a graph of other points", &|crafted| crafted.header.graph.as_mut().unwrap().points += 1);
    refuse("lists of no width", &|crafted| crafted.header.graph.as_mut().unwrap().base_width = 0);
    refuse("layers that grow", &|crafted| crafted.header.graph.as_mut().unwrap().upper.push(1 << 31));
    refuse("codes of no length", &|crafted| crafted.header.graph.as_mut().unwrap().square = f32::NAN);
}
