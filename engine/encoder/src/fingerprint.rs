//! What an index remembers of the model it was built with.

use sha2::{Digest, Sha256};

/// SHA-256, in 64 hex digits, over everything that an embedding depends on. Each part is preceded by its
/// length, so that no two lists of parts read the same.
pub(crate) fn fingerprint(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn a_fingerprint_knows_where_a_part_ends() {
        assert_eq!(fingerprint(&[b"ab", b"c"]).len(), 64);
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
    }
}
