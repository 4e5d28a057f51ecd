//! What is asked beside the text: how to search, and which of the hits to give.

use akin_index::SearchOptions;

/// How to search, and which of the hits to give.
#[derive(Debug, Clone, PartialEq)]
pub struct AskOptions {
    /// How to search. Its `k` is how many hits are wanted.
    pub search: SearchOptions,
    /// Hits that are passed over before the first that is given.
    pub offset: usize,
    /// The least score of a hit.
    pub min_score: Option<f32>,
    /// Whether a hit that says what a better one says already gives way to another.
    pub diverse: bool,
    /// How many passages of a document are shown at most.
    pub per_document: usize,
    /// Fields whose values are counted among the best hits ([`crate::facets`]).
    pub facets: Vec<String>,
    /// Ids of documents that hits should be like.
    pub like: Vec<String>,
    /// Ids of documents that they should not be like.
    pub unlike: Vec<String>,
}

impl Default for AskOptions {
    fn default() -> Self {
        Self::from(SearchOptions::default())
    }
}

impl From<SearchOptions> for AskOptions {
    fn from(search: SearchOptions) -> Self {
        Self {
            search,
            offset: 0,
            min_score: None,
            diverse: false,
            per_document: 1,
            facets: Vec::new(),
            like: Vec::new(),
            unlike: Vec::new(),
        }
    }
}

/// Documents that a hit is chosen from where hits should differ: so many times as are wanted.
const DIVERSE: usize = 4;

/// The least number of them.
const DIVERSE_AT_LEAST: usize = 50;

impl AskOptions {
    /// Where the last hit that is wanted stands among all.
    pub(crate) fn wanted(&self) -> usize {
        self.search.k.saturating_add(self.offset)
    }

    /// How to retrieve the documents that hits are chosen from, at least `ranked` of them.
    pub(crate) fn retrieving(&self, ranked: usize) -> SearchOptions {
        let wanted = self.wanted();
        let differing = if self.diverse { wanted.saturating_mul(DIVERSE).max(DIVERSE_AT_LEAST) } else { 0 };
        // Examples are found, and not given.
        let examples = self.like.len() + self.unlike.len();
        let k = wanted.max(differing).max(ranked).saturating_add(examples);
        SearchOptions { k, ..self.search.clone() }
    }

    /// How to retrieve the documents whose fields are counted, if some are: apart from the hits, whose order must not depend on
    /// it.
    pub(crate) fn counting(&self) -> Option<SearchOptions> {
        let examples = self.like.len() + self.unlike.len();
        let search = || SearchOptions { k: crate::facets::DEPTH + examples, ..self.search.clone() };
        (!self.facets.is_empty()).then(search)
    }
}
