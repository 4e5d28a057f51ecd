//! What an index remembers of the model it was built with.

use sha2::{Digest, Sha256};

/// SHA-256 over everything that an embedding depends on, part after part. Each part is preceded by its length, so that
/// no two lists of parts read the same.
#[derive(Default)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    /// With a further part.
    pub(crate) fn with(mut self, part: &[u8]) -> Self {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// The hash of all parts until now.
    pub(crate) fn state(&self) -> &Sha256 {
        &self.0
    }

    /// In 64 hex digits.
    pub(crate) fn digits(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl From<Sha256> for Fingerprint {
    /// That of parts which were hashed earlier.
    fn from(state: Sha256) -> Self {
        Self(state)
    }
}

#[cfg(test)]
mod tests {
    use super::Fingerprint;

    #[test]
    fn a_fingerprint_knows_where_a_part_ends() {
        let of = |parts: [&[u8]; 2]| Fingerprint::default().with(parts[0]).with(parts[1]).digits();
        assert_eq!(of([b"ab", b"c"]).len(), 64);
        assert_ne!(of([b"ab", b"c"]), of([b"a", b"bc"]));
    }
}
