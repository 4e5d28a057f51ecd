//! What can go wrong with an index in a bucket.

/// What can go wrong with an index in a bucket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BucketError {
    /// An address that names no place in a bucket.
    #[error("{address} names no place in a bucket: {reason}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The settings in the environment cannot be.
    #[error("the object store of {place} cannot be asked: {reason}")]
    Settings {
        /// The address.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// The object store does not answer, however often it is asked.
    #[error("no answer from the object store at {server} (tries: {tries}): {reason}")]
    NoAnswer {
        /// Its URL.
        server: String,
        /// How often it was asked.
        tries: usize,
        /// What the system said, or the store itself.
        reason: String,
    },
    /// The object store does not let this user do it.
    #[error("the object store at {server} refuses access to {place}: {reason}")]
    Access {
        /// Its URL.
        server: String,
        /// The address.
        place: String,
        /// What it said.
        reason: String,
    },
    /// The environment has no credentials, and the machine gives none.
    #[error("there are no credentials for {place}: {reason}")]
    NoCredentials {
        /// The address.
        place: String,
        /// What was tried.
        reason: String,
    },
    /// There is no such bucket.
    #[error("the object store at {server} has no bucket {bucket}")]
    NoBucket {
        /// Its URL.
        server: String,
        /// The name of the bucket.
        bucket: String,
    },
    /// There is no index at the address.
    #[error("there is no index at {place}")]
    NoIndex {
        /// The address.
        place: String,
    },
    /// Another index is at the address, or another history of this one.
    #[error("{place} has {what}")]
    Other {
        /// The address.
        place: String,
        /// What is there.
        what: String,
    },
    /// Another copy to the address was published while this one was under way.
    #[error("another copy to {place} was published while this one was under way: nothing of it was replaced")]
    Overtaken {
        /// The address.
        place: String,
    },
    /// An object is not what it must be.
    #[error("the index at {place} is damaged: {what}")]
    Damaged {
        /// The address.
        place: String,
        /// Which object, and what is wrong.
        what: String,
    },
    /// The object store refused a request.
    #[error("the object store at {server} refused a request for {place}: {reason}")]
    Refused {
        /// Its URL.
        server: String,
        /// The address.
        place: String,
        /// What it said.
        reason: String,
    },
    /// There is no folder where copies of indexes could be kept.
    #[error("there is no folder for copies of indexes in buckets: {0}")]
    NoCache(String),
}
