//! The index of this house, in a folder.

use std::path::Path;
use std::sync::Arc;

use akin_index::{
    Document, Embeddings, Hit, Index, ModelIdentity, Passage, Pointless, Reader, SearchOptions, Snapshot,
    Stat, Upserted, WordQuery,
};

use crate::{Ask, Both, Engine, Figures, Progress, Result, Source, Stored};

/// An index in a folder, open for changes.
pub struct FolderEngine {
    place: String,
    index: Index,
    model: ModelIdentity,
}

impl FolderEngine {
    /// Opens the index in the folder at `path`, or begins one there for vectors of `model`.
    ///
    /// # Errors
    /// As [`Index::open_or_create`].
    pub fn open_or_create(path: &Path, model: &ModelIdentity) -> Result<Self> {
        let index = Index::open_or_create(path, model)?;
        Ok(Self { place: path.display().to_string(), model: index.model(), index })
    }
}

/// One state of an index in a folder, to be read while others change it.
pub struct FolderSource {
    place: String,
    snapshot: Arc<Snapshot>,
    model: ModelIdentity,
}

impl FolderSource {
    /// Opens the index in the folder at `path`.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open(path: &Path) -> Result<Self> {
        let snapshot = Reader::open(path)?.snapshot();
        Ok(Self { place: path.display().to_string(), model: snapshot.model().clone(), snapshot })
    }
}

impl Source for FolderSource {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn model(&self) -> &ModelIdentity {
        &self.model
    }

    fn figures(&mut self) -> Result<Figures> {
        Ok(figures(&self.snapshot.stat()?))
    }

    fn each(&mut self, show: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
        each(&self.snapshot, show)
    }
}

impl Source for FolderEngine {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn model(&self) -> &ModelIdentity {
        &self.model
    }

    fn figures(&mut self) -> Result<Figures> {
        Ok(figures(&self.index.stat()?))
    }

    fn each(&mut self, show: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
        each(&self.index.snapshot(), show)
    }
}

impl Engine for FolderEngine {
    fn unchanged(&mut self, documents: &[Document]) -> Result<Vec<bool>> {
        Ok(documents.iter().map(|document| self.index.is_unchanged(document)).collect::<Result<_, _>>()?)
    }

    fn upsert(
        &mut self,
        documents: &[Document],
        passages: Option<&[Vec<Passage>]>,
        embeddings: &Embeddings,
    ) -> Result<Upserted> {
        Ok(self.index.upsert_passages(documents, passages, embeddings)?)
    }

    fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>> {
        Ok(self.index.delete(ids)?)
    }

    fn finish(&mut self, progress: Progress<'_>) -> Result<()> {
        self.index.seal(progress)?;
        Ok(self.index.merge(progress)?)
    }

    fn nearest(&mut self, query: &[f32], ask: &Ask) -> Result<Vec<Hit>> {
        let snapshot = self.index.snapshot();
        Ok(snapshot.search(query, &options(&snapshot, ask)?)?)
    }

    fn get(&mut self, ids: &[&str]) -> Result<Vec<Option<Document>>> {
        let snapshot = self.index.snapshot();
        Ok(ids.iter().map(|id| snapshot.get(id)).collect::<Result<_, _>>()?)
    }

    fn has_words(&self) -> bool {
        true
    }

    fn by_words(&mut self, query: &WordQuery, ask: &Ask) -> Result<Vec<Hit>> {
        let snapshot = self.index.snapshot();
        Ok(snapshot.search_words(query, &options(&snapshot, ask)?)?)
    }

    fn by_both(&mut self, query: &WordQuery, vector: &[f32], ask: &Ask) -> Result<Both> {
        let snapshot = self.index.snapshot();
        let mut options = options(&snapshot, ask)?;
        let near = match query.pointless() {
            Some(Pointless::OnlyExclusions) => Vec::new(),
            _ => {
                if let Some(among) = snapshot.select_words(query, options.among.as_ref())? {
                    options.among = Some(among);
                }
                snapshot.nearest(vector, &options)?
            }
        };
        let near = [near];
        let beside = snapshot.nearest_words_beside_all(std::slice::from_ref(query), &near, &options)?;
        let (found, words_of_near) = beside.into_iter().next().unwrap_or_default();
        let [near] = near;
        Ok(Both {
            similarities_of_found: snapshot.similarities(vector, &found)?,
            by_meaning: snapshot.hits(near)?,
            words_of_near,
            by_words: snapshot.hits(found)?,
            background: snapshot.background(vector)?.unwrap_or_default(),
            trust: snapshot.trust(),
        })
    }
}

fn options(snapshot: &Snapshot, ask: &Ask) -> Result<SearchOptions> {
    let among = ask.filter.as_ref().map(|filter| snapshot.select(filter)).transpose()?;
    Ok(SearchOptions { k: ask.k, ef: ask.ef, exact: ask.exact, among })
}

fn figures(stat: &Stat) -> Figures {
    Figures {
        documents: stat.documents,
        passages: stat.passages,
        has_graph: !stat.segments.is_empty(),
        bytes: stat.bytes_on_disk,
    }
}

fn each(snapshot: &Snapshot, show: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
    for doc in snapshot.docs()? {
        let (document, passages) = (snapshot.document(doc)?, snapshot.passages(doc)?);
        show(Stored { document, passages, vectors: snapshot.vectors(doc)? })?;
    }
    Ok(())
}
