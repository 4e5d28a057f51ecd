//! An engine in a box is one, of whatever kind.

use akin_index::{Document, Hit, ModelIdentity, Passage, Upserted, WordQuery};
use akin_kernels::Embeddings;

use crate::{Ask, Both, Engine, EngineOptions, Figures, Progress, Result, Source, Stored, SyncRun};

impl<E: Source + ?Sized> Source for Box<E> {
    fn place(&self) -> String {
        (**self).place()
    }

    fn model(&self) -> &ModelIdentity {
        (**self).model()
    }

    fn figures(&mut self) -> Result<Figures> {
        (**self).figures()
    }

    fn each(&mut self, show: &mut dyn FnMut(Stored) -> Result<()>) -> Result<()> {
        (**self).each(show)
    }
}

impl<E: Engine + ?Sized> Engine for Box<E> {
    fn unchanged(&mut self, documents: &[Document]) -> Result<Vec<bool>> {
        (**self).unchanged(documents)
    }

    fn upsert(
        &mut self,
        documents: &[Document],
        passages: Option<&[Vec<Passage>]>,
        embeddings: &Embeddings,
    ) -> Result<Upserted> {
        (**self).upsert(documents, passages, embeddings)
    }

    fn delete(&mut self, ids: &[&str]) -> Result<Vec<bool>> {
        (**self).delete(ids)
    }

    fn finish(&mut self, progress: Progress<'_>) -> Result<()> {
        (**self).finish(progress)
    }

    fn nearest(&mut self, query: &[f32], ask: &Ask) -> Result<Vec<Hit>> {
        (**self).nearest(query, ask)
    }

    fn get(&mut self, ids: &[&str]) -> Result<Vec<Option<Document>>> {
        (**self).get(ids)
    }

    fn choose(&mut self, options: &EngineOptions) -> Result<()> {
        (**self).choose(options)
    }

    fn chosen(&self) -> Vec<(&'static str, String)> {
        (**self).chosen()
    }

    fn text_config(&self) -> Option<&str> {
        (**self).text_config()
    }

    fn begin_sync(&mut self, source: &str) -> Result<SyncRun> {
        (**self).begin_sync(source)
    }

    fn brought(&mut self, run: &SyncRun, ids: &[&str]) -> Result<()> {
        (**self).brought(run, ids)
    }

    fn remove_vanished(&mut self, run: &SyncRun, stays: &dyn Fn(&str) -> bool) -> Result<usize> {
        (**self).remove_vanished(run, stays)
    }

    fn has_words(&self) -> bool {
        (**self).has_words()
    }

    fn by_words(&mut self, query: &WordQuery, ask: &Ask) -> Result<Vec<Hit>> {
        (**self).by_words(query, ask)
    }

    fn by_both(&mut self, query: &WordQuery, vector: &[f32], ask: &Ask) -> Result<Both> {
        (**self).by_both(query, vector, ask)
    }
}
