//! What a filter, phrases and exclusions say of the documents that may be found.
//!
//! A filter is said of each row, but a phrase may be in any passage of a document, and so may what is excluded. Milvus has no queries within
//! queries: the documents are looked for first, and named in the expression if they are few, else what is found is looked at again.

use std::collections::HashSet;

use super::connect::Connection;
use super::read::{query, query_some};
use super::search::READ_ROWS;
use super::words::{any_like, like};
use crate::Result;

/// Rows with a phrase that are looked at to name their documents, at most.
const NAMED: usize = 4096;

/// An expression that no row fits.
const NEVER: &str = "part < 0";

/// Which documents may be found.
#[derive(Debug, Clone, Default)]
pub(super) struct Restriction {
    /// What each row of a document fits; none where all may be found.
    pub(super) expression: Option<String>,
    /// Patterns that a passage of a document must fit, and patterns that none may fit, as far as the expression does not say it.
    must: Vec<String>,
    must_not: Vec<String>,
}

impl Restriction {
    /// That of the expression of a filter.
    pub(super) fn of_filter(expression: Option<String>) -> Self {
        Self { expression, ..Self::default() }
    }

    /// That of a filter and of patterns that a document must have in some passage, and must not have in any.
    pub(super) fn of(
        connection: &Connection,
        filter: Option<String>,
        required: &[String],
        excluded: &[String],
    ) -> Result<Self> {
        let mut restriction = Self::default();
        let mut parts: Vec<String> = filter.clone().into_iter().collect();
        for pattern in required {
            match documents_with(connection, &like(pattern), filter.as_deref())? {
                Some(seqs) if seqs.is_empty() => parts.push(NEVER.into()),
                Some(seqs) => parts.push(seq_in(&seqs)),
                None => restriction.must.push(pattern.clone()),
            }
        }
        if !excluded.is_empty() {
            match documents_with(connection, &any_like(excluded), filter.as_deref())? {
                Some(seqs) if seqs.is_empty() => {}
                Some(seqs) => parts.push(format!("not ({})", seq_in(&seqs))),
                None => restriction.must_not = excluded.to_vec(),
            }
        }
        restriction.expression = joined(parts);
        Ok(restriction)
    }

    /// The same for rows that have patterns themselves.
    pub(super) fn with_passages(self, patterns: &[String]) -> Self {
        let parts = self.expression.into_iter().chain(patterns.iter().map(|pattern| like(pattern)));
        Self { expression: joined(parts.collect()), ..self }
    }

    /// Which documents may not be found, of those with these numbers.
    pub(super) fn barred(&self, connection: &Connection, seqs: Vec<i64>) -> Result<HashSet<i64>> {
        let mut barred = HashSet::new();
        if self.must.is_empty() && self.must_not.is_empty() {
            return Ok(barred);
        }
        for seqs in seqs.chunks(READ_ROWS) {
            let with = |condition: &str| -> Result<HashSet<i64>> {
                let rows = query(connection, &format!("{} and {condition}", seq_in(seqs)), &["seq"])?;
                Ok(rows.into_iter().map(|row| row.seq).collect())
            };
            for pattern in &self.must {
                let with = with(&like(pattern))?;
                barred.extend(seqs.iter().filter(|seq| !with.contains(seq)));
            }
            if !self.must_not.is_empty() {
                barred.extend(with(&any_like(&self.must_not))?);
            }
        }
        Ok(barred)
    }
}

/// The numbers of the documents that have a row of a condition; none where they are too many to be named.
fn documents_with(
    connection: &Connection,
    condition: &str,
    filter: Option<&str>,
) -> Result<Option<Vec<i64>>> {
    let condition = match filter {
        Some(filter) => format!("{condition} and ({filter})"),
        None => condition.to_owned(),
    };
    let rows = query_some(connection, &condition, &["seq"], Some(NAMED))?;
    if rows.len() >= NAMED {
        return Ok(None);
    }
    let mut seqs: Vec<i64> = rows.into_iter().map(|row| row.seq).collect();
    seqs.sort_unstable();
    seqs.dedup();
    Ok(Some(seqs))
}

fn seq_in(seqs: &[i64]) -> String {
    let numbers: Vec<String> = seqs.iter().map(i64::to_string).collect();
    format!("seq in [{}]", numbers.join(", "))
}

/// Parts that must all be true.
fn joined(parts: Vec<String>) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().map(|part| format!("({part})")).collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}
