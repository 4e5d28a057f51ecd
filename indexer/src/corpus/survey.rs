//! The first pass over a corpus: counts documents and duplicate ids, and finds malformed lines.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;

use super::{CorpusReader, Placed};
use crate::{Error, Result};

/// Documents that are read between two reports.
const REPORTED: usize = 256;

/// How far a first pass has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Surveyed {
    /// Documents and files read.
    pub documents: usize,
    /// Bytes read of the files, compressed as they are.
    pub bytes: u64,
    /// Bytes of all files. Those of stdin and of pipes count once they have ended.
    pub of: Option<u64>,
}

/// What the first pass over a corpus found. It keeps 16 bytes for each document, and a few more for each id that
/// occurs more than once.
#[derive(Debug, Default)]
pub struct Survey {
    /// Documents and files of the corpus, each that is replaced by a later one among them.
    pub documents: usize,
    /// Documents that a later one of the same id replaces.
    pub duplicates: usize,
    /// For each id that occurs more than once, the place of its last document.
    last: HashMap<u128, usize>,
    hashers: [RandomState; 2],
}

impl Survey {
    /// Whether a document counts: no later one of the corpus has its id.
    pub(crate) fn counts(&self, read: &Placed) -> bool {
        read.is_file || self.last.get(&self.key(&read.document.id)).is_none_or(|&last| last == read.place)
    }

    /// A hash of an id. Two ids with one hash would lose a document; with 128 bits that does not happen.
    fn key(&self, id: &str) -> u128 {
        let [high, low] = self.hashers.each_ref().map(|hasher| u128::from(hasher.hash_one(id)));
        high << 64 | low
    }
}

impl CorpusReader {
    /// Reads the corpus once, keeps nothing of it, and begins again. Files that are one document each are counted, and
    /// not read: what is wrong with one concerns no other. What comes by stdin is kept in a
    /// temporary file meanwhile.
    ///
    /// # Errors
    /// The first fault of the corpus; [`Error::Empty`] when there is no document in it.
    pub fn survey(&mut self) -> Result<Survey> {
        self.survey_with(&mut |_| ControlFlow::Continue(()))
    }

    /// The same. `progress` hears how far it has come, and may stop it; while a pipe brings nothing it hears nothing.
    ///
    /// # Errors
    /// As [`CorpusReader::survey`], and [`Cancelled`](akin_index::Error::Cancelled) if `progress` stopped it.
    pub fn survey_with(&mut self, progress: &mut dyn FnMut(Surveyed) -> ControlFlow<()>) -> Result<Survey> {
        let mut tell = |surveyed| match progress(surveyed) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Index(akin_index::Error::Cancelled)),
        };
        for source in &mut self.sources {
            source.spool(&mut |bytes| tell(Surveyed { documents: 0, bytes, of: None }))?;
        }
        self.rewind();
        let surveyed = |reader: &Self| Surveyed {
            documents: reader.place(),
            bytes: reader.bytes_read(),
            of: reader.bytes_total(),
        };
        tell(surveyed(self))?;
        let mut survey = Survey::default();
        let mut seen = HashSet::new();
        self.surveying = true;
        while let Some(read) = self.next_placed() {
            let Placed { place, document, .. } = read?;
            if (place + 1).is_multiple_of(REPORTED) {
                tell(surveyed(self))?;
            }
            let key = survey.key(&document.id);
            if !seen.insert(key) {
                survey.duplicates += 1;
                survey.last.insert(key, place);
            }
        }
        self.surveying = false;
        survey.documents = self.place();
        self.rewind();
        if survey.documents == 0 {
            return Err(Error::Empty(self.name()));
        }
        Ok(survey)
    }
}
