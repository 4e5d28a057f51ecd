//! Words of a segment whose bytes were changed under checksums that hold: no panic, and only passages that exist.

use super::Segment;
use super::postings::Matches;
use super::sections::Section;
use super::word_search::WordSearch;
use super::words::{ALL, write_words};
use super::write::{Header, SegmentWriter};
use crate::ModelIdentity;
use crate::manifest::{IndexId, ModelRecord};
use crate::storage::Memory;
use crate::words::bm25::{Bm25, Constants, Statistics};
use crate::words::invert::Inverter;
use crate::words::language::Language;
use crate::words::query::Unit;

const PASSAGES: usize = 500;
const INDEX: IndexId = IndexId([3; 16]);

/// A segment of passages without vectors worth the name, with these sections of words or those of its texts.
fn segment(storage: &Memory, sections: Option<&[Vec<u8>]>) -> Result<Segment, ()> {
    let mut writer = SegmentWriter::create(storage, INDEX, 1).unwrap();
    writer.section(Section::Vectors, bytemuck::cast_slice(&vec![1f32; PASSAGES])).unwrap();
    writer.section(Section::Documents, &[]).unwrap();
    let numbers: Vec<u64> = vec![0; PASSAGES];
    writer.section(Section::DocumentEnds, bytemuck::cast_slice(&numbers)).unwrap();
    writer.section(Section::IdHashes, bytemuck::cast_slice(&numbers)).unwrap();
    writer.section(Section::IdDocuments, bytemuck::cast_slice(&vec![0u32; PASSAGES])).unwrap();
    match sections {
        Some(sections) => {
            for (section, bytes) in ALL.iter().zip(sections) {
                writer.section(*section, bytes).unwrap();
            }
        }
        None => {
            let mut inverter = Inverter::new(Language::English);
            for passage in 0..PASSAGES {
                let odd = if passage % 7 == 0 { "an odd one and" } else { "" };
                inverter.add(&format!("the word w{} and {odd} the word again", passage % 90));
            }
            write_words(&mut writer, &inverter).unwrap();
        }
    }
    writer
        .finish(Header {
            documents: PASSAGES as u64,
            passages: PASSAGES as u64,
            dimension: 1,
            model: ModelRecord::of(&ModelIdentity::unknown(1)),
            generation: 1,
            replaces: Vec::new(),
            graph: None,
            sections: Vec::new(),
        })
        .unwrap();
    Segment::open_file(storage, crate::manifest::Origin { index: INDEX, segment: 1 }, 1).map_err(drop)
}

/// Asks a segment everything about its words.
fn ask(segment: &Segment) -> usize {
    let term = |term: &str| Unit::Term(term.into());
    let phrase = Unit::Phrase(vec![("the".into(), 0), ("word".into(), 1)]);
    let prefix = Unit::Prefix { beginning: "w".into(), stem: "w".into() };
    let mut found = 0;
    let (_, _) = (segment.words(), segment.verify_words());
    for unit in [term("the"), term("odd"), term("w7"), term("zzz"), phrase, prefix] {
        let Ok(Some(matches)) = segment.matches(&unit) else { continue };
        let bm25 = Bm25::new(Statistics { passages: 500, positions: 4000 }, 20, 1, Constants::ALONE);
        let excluded: Vec<Matches> = segment.matches(&term("w8")).into_iter().flatten().collect();
        let searched = [(matches, bm25)];
        for (optional, required) in [(&searched[..], &[][..]), (&[], &searched[..])] {
            let search = WordSearch { optional, required, excluded: &excluded, among: None, deleted: None };
            let mut last = None;
            let _ = segment.search_words(&search, -1.0, &mut |row, score| {
                assert!((row as usize) < PASSAGES && last < Some(row) && score > 0.0);
                last = Some(row);
                found += 1;
                Ok(-1.0)
            });
        }
    }
    found
}

#[test]
fn forged_words_make_no_panic() {
    let storage = Memory::new();
    let whole = segment(&storage, None).unwrap();
    whole.verify_words().unwrap();
    let right = ask(&whole);
    assert!(right > 2 * PASSAGES, "{right}");
    let sections: Vec<Vec<u8>> = ALL.iter().map(|section| whole.sections.bytes(*section).to_vec()).collect();
    let mut noticed = 0;
    for (at, bytes) in sections.iter().enumerate() {
        let step = (bytes.len() / 150).max(1);
        for place in (0..bytes.len()).step_by(step) {
            for change in [1u8, 0x80, 0xff, 0x10] {
                let mut changed = sections.clone();
                changed[at][place] ^= change;
                let Ok(forged) = segment(&storage, Some(&changed)) else { continue };
                ask(&forged);
                noticed += usize::from(forged.verify_words().is_err());
            }
        }
    }
    assert!(noticed > 300, "{noticed}");
}

#[test]
fn words_of_another_version_are_none() {
    let storage = Memory::new();
    let whole = segment(&storage, None).unwrap();
    let mut sections: Vec<Vec<u8>> =
        ALL.iter().map(|section| whole.sections.bytes(*section).to_vec()).collect();
    sections[0][0] += 1;
    let other = segment(&storage, Some(&sections)).unwrap();
    assert_eq!(other.words().map(|words| words.is_some()).ok(), Some(false));
    sections.iter_mut().for_each(|section| section.push(0));
    assert!(segment(&storage, Some(&sections)).is_err());
}
