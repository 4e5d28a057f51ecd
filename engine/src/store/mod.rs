//! The embedded database under an index: every byte under a checksum.
