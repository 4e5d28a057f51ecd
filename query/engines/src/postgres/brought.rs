//! What a table has that was begun in this process: nothing but what it has brought, unless others write there too.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Ids that are remembered, at most: some 20 MB.
const MOST: usize = 1 << 20;

/// Ids that this process has brought to a table which it has begun itself: the server need not be asked for others. What another
/// writer brings meanwhile is found when its ids meet.
#[derive(Debug, Default)]
pub(super) struct Brought {
    /// Hashes of the ids; none where it is not known what the table has.
    hashes: Option<HashSet<u64>>,
    hasher: RandomState,
}

impl Brought {
    /// For a table that was begun just now.
    pub(super) fn to_new_table() -> Self {
        Self { hashes: Some(HashSet::new()), ..Self::default() }
    }

    /// Whether the table may have one of these ids.
    pub(super) fn may_have<'a>(&self, mut ids: impl Iterator<Item = &'a str>) -> bool {
        match &self.hashes {
            Some(hashes) => ids.any(|id| hashes.contains(&self.hasher.hash_one(id))),
            None => true,
        }
    }

    /// Remembers ids before they are brought.
    pub(super) fn remember<'a>(&mut self, ids: impl Iterator<Item = &'a str>) {
        if let Some(hashes) = &mut self.hashes {
            hashes.extend(ids.map(|id| self.hasher.hash_one(id)));
        }
        if self.hashes.as_ref().is_some_and(|hashes| hashes.len() > MOST) {
            self.hashes = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_may_have_what_was_brought_and_anything_once_that_is_too_much() {
        assert!(Brought::default().may_have(["a"].into_iter()));
        let mut brought = Brought::to_new_table();
        brought.remember(["a", "b"].into_iter());
        assert!(brought.may_have(["x", "b"].into_iter()) && !brought.may_have(["x", "y"].into_iter()));
        let many: Vec<String> = (0..=MOST).map(|id| id.to_string()).collect();
        brought.remember(many.iter().map(String::as_str));
        assert!(brought.may_have(["x"].into_iter()));
    }
}
