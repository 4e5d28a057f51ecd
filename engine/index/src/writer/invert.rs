//! The words of documents that are written: those of a commit, or of segments that are put together.
//!
//! Texts are read again where segments are put together: that takes a twentieth of the time of their graph, adds words
//! where a source has none, and copies no damage.

use crate::document::DocumentRecord;
use crate::graph::Fault;
use crate::reader::snapshot::{SegmentView, Snapshot};
use crate::segment::Segment;
use crate::words::analysis::has_words;
use crate::words::invert::Inverter;
use crate::words::language::{Evidence, Language};
use crate::{Document, Passage};

/// The words of documents that are added.
pub(super) fn invert(
    snapshot: &Snapshot,
    documents: &[Document],
    passages: Option<&[Vec<Passage>]>,
) -> Inverter {
    let language = match language_of(&snapshot.segments) {
        Language::Undecided => {
            let mut evidence = Evidence::default();
            let mut texts = documents.iter().map(|document| &*document.text);
            while let Some(text) = texts.next().filter(|_| !evidence.is_plenty()) {
                evidence.see(text);
            }
            evidence.decide()
        }
        decided => decided,
    };
    let mut inverter = Inverter::new(language);
    for (at, document) in documents.iter().enumerate() {
        match passages {
            None => inverter.add(&document.text),
            Some(passages) => passages[at].iter().for_each(|passage| {
                inverter.add(&document.text[passage.start as usize..passage.end as usize]);
            }),
        }
    }
    inverter
}

/// Adds the passages of a document of a segment, or says what is wrong with it.
pub(super) fn invert_record(
    inverter: &mut Inverter,
    segment: &Segment,
    document: usize,
    record: &[u8],
) -> Result<(), String> {
    let text = DocumentRecord::text(record)?;
    for passage in segment.passages_of(document).map_err(|fault| fault.0)? {
        let part = match segment.span(passage).map_err(|fault| fault.0)? {
            None => Some(text),
            Some(Passage { start, end }) => text.get(start as usize..end as usize),
        };
        inverter.add(part.ok_or_else(|| format!("passage {passage} is outside of its text"))?);
    }
    Ok(())
}

/// The language of segments that are put together: theirs, or that of their texts.
pub(super) fn choose_language(sources: &[SegmentView]) -> Result<Language, Fault> {
    match language_of(sources) {
        Language::Undecided => {}
        decided => return Ok(decided),
    }
    let mut evidence = Evidence::default();
    for view in sources {
        for document in view.documents() {
            if evidence.is_plenty() {
                return Ok(evidence.decide());
            }
            let record = view.segment.record(document?)?;
            evidence.see(DocumentRecord::text(&record).map_err(Fault)?);
        }
    }
    Ok(evidence.decide())
}

/// Whether a segment has no words of this release, though a live document of it has some: compacting adds them.
pub(super) fn lacks_words(view: &SegmentView) -> Result<bool, Fault> {
    if view.segment.words()?.is_some() {
        return Ok(false);
    }
    for document in view.documents() {
        let record = view.segment.record(document?)?;
        if has_words(DocumentRecord::text(&record).map_err(Fault)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The language that segments were written in: that of the oldest in which it was decided. One whose words are damaged does
/// not count.
fn language_of(segments: &[SegmentView]) -> Language {
    let words = segments.iter().filter_map(|view| view.segment.words().ok().flatten());
    let mut decided = words.map(|words| words.language).filter(|language| *language != Language::Undecided);
    decided.next().unwrap_or_default()
}
