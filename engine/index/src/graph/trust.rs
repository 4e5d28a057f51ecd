//! Whether the arrays of a graph may be used as they are, or are checked at first use.

use super::Lists;

/// Why an array of a graph or a vector cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) String);

/// Vouches for the parts of a graph that a walk is about to use.
///
/// A graph in memory was checked when it was made ([`Trusted`]: every call is nothing). A mapped one is
/// checked block by block, each when it is first used.
pub(crate) trait Trust {
    /// The list of `point` holds its checksum, and names only points of the graph.
    fn list(&self, lists: Lists<'_>, point: u32) -> Result<(), Fault>;

    /// The codes of these points hold their checksums.
    fn codes(&self, points: &[u32]) -> Result<(), Fault>;

    /// The row of this point holds its checksum, and is a row of the vectors.
    fn row(&self, point: u32) -> Result<(), Fault>;
}

/// Arrays that were checked before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trusted;

impl Trust for Trusted {
    #[inline(always)]
    fn list(&self, _: Lists<'_>, _: u32) -> Result<(), Fault> {
        Ok(())
    }

    #[inline(always)]
    fn codes(&self, _: &[u32]) -> Result<(), Fault> {
        Ok(())
    }

    #[inline(always)]
    fn row(&self, _: u32) -> Result<(), Fault> {
        Ok(())
    }
}
