//! A first look through a whole corpus.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::CorpusReader;
use crate::{Error, Result};

/// What a first look through a corpus found. It keeps 8 bytes a document, and a few more for each id that
/// comes twice.
#[derive(Debug, Default)]
pub struct Survey {
    /// Documents in the corpus, each that is replaced by a later one among them.
    pub documents: usize,
    /// Documents that a later one of the same id replaces.
    pub duplicates: usize,
    /// For each id that comes more than once, the place of its last document.
    last: HashMap<u64, usize>,
    hasher: RandomState,
}

impl Survey {
    /// Whether the document at `place` (from 0) counts: no later one has its id.
    pub fn counts(&self, place: usize, id: &str) -> bool {
        self.last.get(&self.hasher.hash_one(id)).is_none_or(|&last| last == place)
    }
}

impl CorpusReader {
    /// Reads the corpus once, keeps nothing of it, and begins again. What comes by stdin is kept in a
    /// temporary file meanwhile.
    ///
    /// # Errors
    /// The first fault of the corpus; [`Error::Empty`] when there is no document in it.
    pub fn survey(&mut self) -> Result<Survey> {
        for source in &mut self.sources {
            source.spool()?;
        }
        self.rewind();
        let mut survey = Survey::default();
        let mut seen = HashSet::new();
        while let Some(document) = self.next_document() {
            let hash = survey.hasher.hash_one(document?.id.as_str());
            if !seen.insert(hash) {
                survey.duplicates += 1;
                survey.last.insert(hash, survey.documents);
            }
            survey.documents += 1;
        }
        self.rewind();
        if survey.documents == 0 {
            return Err(Error::Empty(self.name()));
        }
        Ok(survey)
    }
}
