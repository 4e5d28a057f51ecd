//! Indexes in a bucket of an object store that speaks S3.
//!
//! Such an index is the files of one commit as objects, byte for byte: `PREFIX/manifest` and `PREFIX/segments/…`. Segments are
//! immutable and the manifest has their checksums, so that a copy sends only what is not there, goes on where it was ended, and
//! is true when its manifest is, which is put last.
//!
//! - [`back_up`]: brings the last commit of an index in a folder to a bucket.
//! - [`restore`]: makes an index in a folder of one in a bucket.
//! - [`CachedIndex`]: a folder of the user's cache with the files of an index in a bucket, for readers.
//!
//! Nobody writes documents into a bucket: an index is changed in a folder, and copied. Credentials, region and endpoint are
//! those of the variables that other programs for S3 read (`AWS_ACCESS_KEY_ID` and so on). A request that has no answer is made
//! five times within some seconds, and each further try is told as a warning.

mod address;
mod backup;
mod cache;
mod error;
mod fetch;
mod http;
mod parallel;
mod restore;
mod store;

use std::ops::ControlFlow;

pub use self::address::BucketAddress;
pub use self::backup::{BackedUp, back_up};
pub use self::cache::{CachedIndex, Freshness};
pub use self::error::BucketError;
pub use self::restore::{Restored, restore};

/// Hears how many bytes are copied and how many there are to copy, and may stop it.
pub type Watch<'a> = &'a (dyn Fn(u64, u64) -> ControlFlow<()> + Sync);

/// Bytes of a file that go in one request. An object of S3 has parts of 5 MiB at least.
const PART: u64 = 8 << 20;

/// The name of the object of a file.
fn object(file: &str) -> String {
    format!("segments/{file}")
}
