//! The index of this house, in a folder.

use std::path::Path;

use akin_index::{Document, Embeddings, Hit, Index, ModelIdentity, Passage, SearchOptions, Upserted};

use crate::{Ask, Engine, Figures, Progress, Result, Stored};

/// An index in a folder, open for changes.
pub struct FolderEngine {
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
        Ok(Self { model: index.model(), index })
    }
}

impl Engine for FolderEngine {
    fn place(&self) -> String {
        "the index".into()
    }

    fn model(&self) -> &ModelIdentity {
        &self.model
    }

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
        let among = ask.filter.as_ref().map(|filter| snapshot.select(filter)).transpose()?;
        let options = SearchOptions { k: ask.k, ef: ask.ef, exact: ask.exact, among };
        Ok(snapshot.search(query, &options)?)
    }

    fn figures(&mut self) -> Result<Figures> {
        let stat = self.index.stat()?;
        let has_graph = !stat.segments.is_empty();
        let (documents, passages, bytes) = (stat.documents, stat.passages, stat.bytes_on_disk);
        Ok(Figures { documents, passages, has_graph, bytes })
    }

    fn each(&mut self, show: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
        let snapshot = self.index.snapshot();
        for doc in snapshot.docs()? {
            let (document, passages) = (snapshot.document(doc)?, snapshot.passages(doc)?);
            show(Stored { document, passages, vectors: snapshot.vectors(doc)? })?;
        }
        Ok(())
    }
}
