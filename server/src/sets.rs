//! Sets of documents that clients name once and search in again and again, such as those in a lasso on the map.
//!
//! A set is named by a digest of its ids, so that the same ids have the same name. The least recently used sets go when an
//! index has too many: a client then sends the ids again.

use std::sync::{Arc, Mutex, PoisonError};

use akin_index::{Selection, Snapshot};
use sha2::{Digest, Sha256};

use crate::error::ApiError;

/// Sets of an index that are kept, at most.
const SETS: usize = 16;

/// Bytes of the ids of all sets of an index, at most, apart from those of the newest.
const BYTES: usize = 32 << 20;

/// The sets of an index, the least recently used first.
#[derive(Default)]
pub struct Sets(Mutex<Vec<Arc<Kept>>>);

struct Kept {
    name: String,
    ids: Vec<String>,
    bytes: usize,
    /// The documents in the snapshot that was searched last.
    selected: Mutex<Option<Selection>>,
}

impl Kept {
    fn of(ids: Vec<String>) -> Self {
        let mut digest = Sha256::new();
        for id in &ids {
            digest.update((id.len() as u64).to_le_bytes());
            digest.update(id);
        }
        let name = digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let bytes = ids.iter().map(|id| id.len() + size_of::<String>()).sum();
        Self { name, ids, bytes, selected: Mutex::new(None) }
    }

    /// The documents of a snapshot. Their places are looked up once for each commit.
    fn select(&self, snapshot: &Snapshot) -> Result<Selection, ApiError> {
        let mut selected = self.selected.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = selected.as_ref().filter(|known| known.is_of(snapshot)) {
            return Ok(known.clone());
        }
        let found = snapshot.select_ids(&self.ids)?;
        *selected = Some(found.clone());
        Ok(found)
    }
}

impl Sets {
    /// Keeps a set, and gives its name and how many documents of the snapshot are in it.
    pub fn keep(&self, ids: Vec<String>, snapshot: &Snapshot) -> Result<(String, usize), ApiError> {
        let new = Kept::of(ids);
        let kept = self.used(&new.name).unwrap_or_else(|| self.enter(new));
        Ok((kept.name.clone(), kept.select(snapshot)?.len()))
    }

    /// The documents of a snapshot that are in a set.
    pub fn select(&self, name: &str, snapshot: &Snapshot) -> Result<Selection, ApiError> {
        match self.used(name) {
            Some(kept) => kept.select(snapshot),
            None => {
                let gone = "within: the server does not keep this set, or no longer: send its ids again";
                Err(ApiError { field: Some("within".into()), ..ApiError::not_found(gone) })
            }
        }
    }

    fn enter(&self, new: Kept) -> Arc<Kept> {
        let new = Arc::new(new);
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes: usize = sets.iter().map(|set| set.bytes).sum();
        while sets.len() >= SETS || (bytes > BYTES && !sets.is_empty()) {
            bytes -= sets.remove(0).bytes;
        }
        sets.push(Arc::clone(&new));
        new
    }

    /// A set by its name, which is then the most recently used.
    fn used(&self, name: &str) -> Option<Arc<Kept>> {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = sets.iter().position(|set| set.name == name)?;
        let set = sets.remove(at);
        sets.push(Arc::clone(&set));
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sets: &Sets) -> Vec<String> {
        sets.0.lock().unwrap().iter().map(|set| set.name.clone()).collect()
    }

    fn enter(sets: &Sets, id: &str) -> String {
        sets.enter(Kept::of(vec![id.to_owned()])).name.clone()
    }

    #[test]
    fn the_least_recently_used_set_goes() {
        let sets = Sets::default();
        let first = enter(&sets, "0");
        let second = enter(&sets, "1");
        assert!(sets.used(&first).is_some());
        for n in 2..=SETS {
            enter(&sets, &n.to_string());
        }
        assert!(names(&sets).contains(&first) && !names(&sets).contains(&second));
        assert_eq!(names(&sets).len(), SETS);
    }

    #[test]
    fn large_sets_do_not_stay_side_by_side() {
        let sets = Sets::default();
        for n in 0..4 {
            enter(&sets, &n.to_string().repeat(BYTES + 1));
            assert!(names(&sets).len() <= 1, "{n}");
        }
    }

    #[test]
    fn a_set_is_named_by_its_ids() {
        let name = |ids: &[&str]| Kept::of(ids.iter().map(|id| (*id).to_owned()).collect()).name;
        assert_eq!(name(&["a", "b"]), name(&["a", "b"]));
        assert_ne!(name(&["a", "b"]), name(&["ab"]));
        assert_ne!(name(&["a", "b"]), name(&["b", "a"]));
    }
}
