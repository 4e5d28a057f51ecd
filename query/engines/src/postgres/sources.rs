//! Which documents a corpus brought, so that those that it no longer has can be removed.
//!
//! A table beside that of the documents has a row for each document of each corpus that was ever indexed with its name, with the
//! number of the last run that brought it. What an earlier run brought and this one did not is removed in one transaction.

use akin_index::Error as IndexError;

use super::address::Address;
use super::write::{delete_ids, lock};
use super::{PostgresEngine, schema};
use crate::{Engine, Error, Result, SyncRun};

/// What the comment of the table of sources says.
const COMMENT: &str = "sources of Akin, form 1";

fn table(address: &Address) -> String {
    address.named(&format!("{}_sources", address.table_name()))
}

impl PostgresEngine {
    /// Begins a run over the corpus of a name.
    ///
    /// # Errors
    /// [`Error::NotOurs`] if somebody else has made a table where sources are remembered; what the server reports.
    pub fn begin_sync(&mut self, source: &str) -> Result<SyncRun> {
        if source.contains('\0') {
            return Err(IndexError::Invalid("the name of a corpus has a NUL character".into()).into());
        }
        let sources = table(&self.connection.address);
        let place = self.connection.address.place();
        if let Some(comment) = schema::comment_on(&mut self.connection, &sources)?
            && comment.as_deref() != Some(COMMENT)
        {
            let reason = format!("the table {sources}, which remembers what a corpus brought, is another's");
            return Err(Error::NotOurs { place, reason });
        }
        let create = format!(
            "CREATE TABLE IF NOT EXISTS {sources} (source text COLLATE \"C\", id text COLLATE \"C\", run bigint NOT NULL, \
             PRIMARY KEY (source, id)); COMMENT ON TABLE {sources} IS '{COMMENT}'"
        );
        let last = format!("SELECT coalesce(max(run), 0) FROM {sources} WHERE source = $1");
        let documents = self.connection.address.table();
        let number: i64 = self.connection.run(&mut |client| {
            let mut transaction = client.transaction()?;
            lock(&mut transaction, &documents)?;
            transaction.batch_execute(&create)?;
            let number = transaction.query_one(&last, &[&source])?.get(0);
            transaction.commit()?;
            Ok(number)
        })?;
        Ok(SyncRun { source: source.into(), number: number + 1 })
    }

    /// Remembers documents that a run has brought or found unchanged.
    ///
    /// # Errors
    /// What the server reports.
    pub fn brought(&mut self, run: &SyncRun, ids: &[&str]) -> Result<()> {
        let sources = table(&self.connection.address);
        let remember = format!(
            "INSERT INTO {sources} (source, id, run) SELECT $1, id, $2 FROM (SELECT DISTINCT unnest($3::text[])) n(id) \
             ON CONFLICT (source, id) DO UPDATE SET run = excluded.run"
        );
        let (source, number) = (&run.source, run.number);
        self.connection.run(&mut |client| client.execute(&remember, &[source, &number, &ids]))?;
        Ok(())
    }

    /// Removes the documents that earlier runs over the corpus brought and this one did not, all of them or none, and tells how
    /// many. Those that `stays` says stay, and so do those that another corpus brought.
    ///
    /// # Errors
    /// What the server reports.
    pub fn remove_vanished(&mut self, run: &SyncRun, stays: &dyn Fn(&str) -> bool) -> Result<usize> {
        let address = self.connection.address.clone();
        let (documents, sources, has_words) = (address.table(), table(&address), self.has_words());
        let find = format!(
            "SELECT s.id, EXISTS (SELECT FROM {sources} o WHERE o.id = s.id AND o.source <> s.source) FROM {sources} s \
             WHERE s.source = $1 AND s.run < $2"
        );
        let forget = format!("DELETE FROM {sources} WHERE source = $1 AND id = ANY($2)");
        let (source, number) = (&run.source, run.number);
        self.connection.run(&mut |client| {
            let mut transaction = client.transaction()?;
            lock(&mut transaction, &documents)?;
            let rows = transaction.query(&find, &[source, &number])?;
            let found: Vec<(String, bool)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            let gone: Vec<&(String, bool)> = found.iter().filter(|(id, _)| !stays(id)).collect();
            let ids: Vec<&str> = gone.iter().map(|(id, _)| id.as_str()).collect();
            let alone: Vec<&str> =
                gone.iter().filter(|(_, shared)| !shared).map(|(id, _)| id.as_str()).collect();
            let removed = delete_ids(&mut transaction, &address, has_words, &alone)?.len();
            transaction.execute(&forget, &[source, &ids])?;
            transaction.commit()?;
            Ok(removed)
        })
    }
}
