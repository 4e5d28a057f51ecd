//! Opening an index: everything that is searched comes into memory, and what an interrupted commit
//! left behind goes.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use super::read::{Reader, Shared};
use super::segment::Segment;
use super::state::State;
use super::tombstones::Tombstones;
use super::{Index, ModelIdentity};
use crate::store::records::{DIMENSION_LIMIT, ModelRecord};
use crate::store::{Directory, Store};
use crate::{Error, Result};
use akin_kernels::memory::give_back_freed_memory;

impl Index {
    /// Opens the index at `path`.
    ///
    /// # Errors
    /// [`Error::NotAnIndex`] if there is none, [`Error::Locked`] while another process (or another
    /// `Index`) holds it, [`Error::Format`] if an older or a newer program wrote it, [`Error::Damaged`] if a
    /// checksum does not hold, [`Error::Write`] without permission to write.
    pub fn open(path: &Path) -> Result<Self> {
        Self::load(Directory::claim(path, false)?)
    }

    /// Opens the index at `path`, or begins a new one there for embeddings of `model`.
    ///
    /// A missing or empty folder becomes an index. An index is told the new `location` of its model
    /// if that has moved.
    ///
    /// # Errors
    /// As [`Index::open`], and [`Error::OtherModel`] if it was built with another fingerprint.
    pub fn open_or_create(path: &Path, model: &ModelIdentity) -> Result<Self> {
        if !(1..=DIMENSION_LIMIT).contains(&(model.dimension as u64)) {
            return Err(Error::Invalid(format!(
                "an embedding has 1 to {DIMENSION_LIMIT} dimensions, not {}",
                model.dimension
            )));
        }
        let mut directory = Directory::claim(path, true)?;
        if !directory.is_complete() {
            directory.begin(|folder| Store::open(folder, path)?.begin(&model_record(model)))?;
        }
        let mut index = Self::load(directory)?;
        index.require_model(&model.fingerprint)?;
        if index.model().dimension != model.dimension {
            return Err(Error::OtherModel(format!(
                "the index {} has embeddings of {} dimensions, and the model makes {}",
                path.display(),
                index.model().dimension,
                model.dimension
            )));
        }
        if index.model().location != model.location {
            index.store().replace_model(&model_record(model))?;
            let shared = Arc::get_mut(&mut index.reader.shared).expect("nobody reads it yet");
            shared.model = model.clone();
        }
        Ok(index)
    }

    pub(super) fn load(directory: Directory) -> Result<Self> {
        let store = Store::open(&directory.store(), directory.path())?;
        store.require_format()?;
        let model = store.model()?;
        let manifest = store.manifest()?;
        let noted = directory.generation()?;
        if noted > manifest.generation {
            return Err(store.damaged(format!(
                "its last commit was number {noted}, and the database ends with number {}",
                manifest.generation
            )));
        }
        let dimension = model.dimension as usize;
        let tombstones = Tombstones::load(&store, &manifest.tombstones, manifest.next_doc)?;
        let segments = manifest
            .segments
            .iter()
            .map(|record| Segment::load(&store, record, dimension, &tombstones).map(Arc::new))
            .collect::<Result<Vec<_>>>()?;
        let model = ModelIdentity { fingerprint: model.fingerprint, location: model.location, dimension };
        let state = RwLock::new(State { manifest, segments, tombstones, recent: HashMap::new() });
        let mut index =
            Self { reader: Reader { shared: Arc::new(Shared { model, state, store, directory }) } };
        index.clean()?;
        give_back_freed_memory();
        Ok(index)
    }

    /// Removes segments that the manifest does not name, and finds the ids of its last documents.
    fn clean(&mut self) -> Result<()> {
        let state = self.state();
        for segment in self.store().stored_segments()? {
            if !state.segments.iter().any(|held| held.record.id == segment) {
                self.store().remove_segment(segment)?;
            }
        }
        let mut recent = HashMap::new();
        for doc in (state.manifest.ids_through..state.manifest.next_doc)
            .filter(|doc| state.locate(*doc).is_some() && !state.tombstones.contains(*doc))
        {
            recent.insert(state.document(self.store(), doc)?.id, doc);
        }
        drop(state);
        self.shared.state.write().unwrap_or_else(PoisonError::into_inner).recent = recent;
        Ok(())
    }
}

pub(super) fn model_record(model: &ModelIdentity) -> ModelRecord {
    ModelRecord {
        fingerprint: model.fingerprint.clone(),
        location: model.location.clone(),
        dimension: model.dimension as u64,
    }
}
