//! What can go wrong in an engine.

use akin_index::ModelIdentity;

/// A result of an engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in an engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An address that names no table and no collection.
    #[error("{address} names no {kind}: {reason}", kind = kind(address))]
    Address {
        /// The address, without a password.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers at the address.
    #[error("cannot reach the server at {server}: {reason}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// What the system said.
        reason: String,
    },
    /// The server does not let this user in.
    #[error("the server at {server} refuses the login: {reason}")]
    Login {
        /// Host and port.
        server: String,
        /// What the server said.
        reason: String,
    },
    /// The connection cannot be encrypted as the address asks, or another server answers than it names.
    #[error("no encrypted connection to the server at {server}: {reason}")]
    Encryption {
        /// Host and port.
        server: String,
        /// What is wrong.
        reason: String,
    },
    /// The server has gone away in the middle, and does not come back.
    #[error("the server at {server} has gone away: {reason}")]
    Gone {
        /// Host and port.
        server: String,
        /// What the system said.
        reason: String,
    },
    /// The server has no pgvector, or one that is too old, or does not compare such vectors.
    #[error("{place} cannot keep the vectors: {reason}")]
    NoVectors {
        /// The database.
        place: String,
        /// What it lacks.
        reason: String,
    },
    /// There is no such table or collection.
    #[error("there is no {kind} {place}", kind = kind(place))]
    NoTable {
        /// The table.
        place: String,
    },
    /// The table was made by somebody else.
    #[error("the {kind} {place} was not made by Akin: {reason}", kind = kind(place))]
    NotOurs {
        /// The table.
        place: String,
        /// What tells.
        reason: String,
    },
    /// The table was begun with another model.
    #[error("{place} was built with another model or in another way: {what}")]
    OtherModel {
        /// The table.
        place: String,
        /// What it was built with.
        built_with: Box<ModelIdentity>,
        /// What differs.
        what: String,
    },
    /// The server refused a statement.
    #[error("the server at {server} refused: {reason}")]
    Refused {
        /// Host and port.
        server: String,
        /// What it said.
        reason: String,
    },
    /// A filter that the engine cannot answer.
    #[error("the filter cannot be asked of {place}: {reason}")]
    Filter {
        /// The table.
        place: String,
        /// What cannot be.
        reason: String,
    },
    /// A document that the engine cannot keep.
    #[error("the document {id:?} cannot be kept in {place}: {reason}")]
    Document {
        /// The id of the document.
        id: String,
        /// The table.
        place: String,
        /// What cannot be.
        reason: String,
    },
    /// Documents are not found by their words there.
    #[error("{place} keeps no words to search")]
    NoWords {
        /// The table.
        place: String,
    },
    /// What a corpus brought is not remembered there, so what vanished from it cannot be removed.
    #[error("{place} does not remember what a corpus brought")]
    NotRemembered {
        /// The place.
        place: String,
    },
    /// The words are kept in another way, or cannot be kept as asked.
    #[error("the words of {place} cannot be kept by the text configuration {asked:?}: {reason}")]
    TextConfig {
        /// The table.
        place: String,
        /// The configuration that was asked for.
        asked: String,
        /// What is wrong.
        reason: String,
    },
    /// An option that an engine has not, or whose value cannot be.
    #[error("the option {name}: {reason}")]
    Option {
        /// The option.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A copy is not what was copied.
    #[error(
        "{count} documents are not in {place} as they were sent: does another program write there? The same copy goes on"
    )]
    Copy {
        /// The place that was copied to.
        place: String,
        /// How many.
        count: usize,
    },
    /// What somebody who was shown the documents reports.
    #[error("{0}")]
    Shown(String),
    /// The index reports it.
    #[error(transparent)]
    Index(#[from] akin_index::Error),
    /// It concerns an index in a bucket.
    #[error(transparent)]
    Bucket(#[from] crate::bucket::BucketError),
}

/// What an address is one of.
fn kind(address: &str) -> &'static str {
    if crate::milvus::Address::is_one(address) { "collection" } else { "table" }
}
