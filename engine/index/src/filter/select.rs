//! Which of many documents fit a filter, from what is known of each field.

use std::cmp::Ordering;

use super::{Comparison, Expression, Filter};

/// Says whether a value fits, by its text.
pub(crate) type Fits<'a> = &'a dyn Fn(&str) -> bool;

/// The documents that have a fitting value in a field.
pub(crate) type FindFitting<'a, E> = &'a dyn Fn(&str, Fits<'_>) -> Result<DocumentSet, E>;

/// A set of documents of a segment: a bit each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentSet {
    words: Vec<u64>,
    documents: usize,
}

impl DocumentSet {
    pub(crate) fn none(documents: usize) -> Self {
        Self { words: vec![0; documents.div_ceil(64)], documents }
    }

    pub(crate) fn insert(&mut self, document: usize) {
        self.words[document / 64] |= 1 << (document % 64);
    }

    pub(crate) fn contains(&self, document: usize) -> bool {
        self.words.get(document / 64).is_some_and(|word| word >> (document % 64) & 1 == 1)
    }

    /// Those of `documents` that are not in it. Bits behind the last document mean nothing.
    fn complement(mut self) -> Self {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self
    }

    fn with(mut self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word = combine(*word, *other));
        self
    }

    /// All of them, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.documents).filter(|document| self.contains(*document))
    }
}

impl Filter {
    /// The documents that fit, of so many.
    pub(crate) fn select<E>(&self, documents: usize, find: FindFitting<'_, E>) -> Result<DocumentSet, E> {
        self.0.select(documents, find)
    }
}

impl Expression {
    fn select<E>(&self, documents: usize, find: FindFitting<'_, E>) -> Result<DocumentSet, E> {
        match self {
            Self::Compare(field, Comparison::Unequal, literal) => {
                let equal = find(field, &|text| literal.order_text(text) == Some(Ordering::Equal))?;
                Ok(equal.complement())
            }
            Self::Compare(field, comparison, literal) => {
                find(field, &|text| comparison.admits(literal.order_text(text)))
            }
            Self::In(field, literals) => find(field, &|text| {
                literals.iter().any(|literal| literal.order_text(text) == Some(Ordering::Equal))
            }),
            Self::Not(inner) => Ok(inner.select(documents, find)?.complement()),
            Self::And(all) => Self::combined(all, documents, find, |a, b| a & b),
            Self::Or(all) => Self::combined(all, documents, find, |a, b| a | b),
        }
    }

    fn combined<E>(
        all: &[Self],
        documents: usize,
        find: FindFitting<'_, E>,
        combine: impl Fn(u64, u64) -> u64,
    ) -> Result<DocumentSet, E> {
        let mut sets = all.iter().map(|one| one.select(documents, find));
        let first = sets.next().unwrap_or_else(|| Ok(DocumentSet::none(documents)))?;
        sets.try_fold(first, |set, next| Ok(set.with(&next?, &combine)))
    }
}
