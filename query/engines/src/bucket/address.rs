//! The address of an index in a bucket: `s3://BUCKET/PREFIX`.

use std::fmt;

use super::BucketError;

/// The beginning of addresses.
const SCHEME: &str = "s3://";

/// Bytes of the name of an object, at most; the longest name of a file takes 50 of them.
const LONGEST_PREFIX: usize = 1024 - 64;

/// The address of an index in a bucket. Its objects are `PREFIX/manifest` and `PREFIX/segments/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketAddress {
    bucket: String,
    prefix: String,
}

impl fmt::Display for BucketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.bucket, self.prefix)
    }
}

impl BucketAddress {
    /// Whether a text is meant to be one.
    pub fn is_one(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads `s3://BUCKET/PREFIX`. A slash at the end means nothing.
    ///
    /// # Errors
    /// [`BucketError::Address`].
    pub fn parse(text: &str) -> Result<Self, BucketError> {
        let wrong = |reason: &str| BucketError::Address { address: text.into(), reason: reason.into() };
        const FORM: &str = "write s3://BUCKET/PREFIX";
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| wrong(FORM))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if !(3..=255).contains(&bucket.len()) || !bucket.bytes().all(fits) {
            return Err(wrong("the name of a bucket is 3 to 255 letters, digits, hyphens and dots"));
        }
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if prefix.is_empty() {
            return Err(wrong("name a place in it too, as in s3://BUCKET/PREFIX"));
        }
        let is_part = |part: &str| !part.is_empty() && !part.bytes().all(|byte| byte == b'.');
        let fits = |letter: char| letter.is_alphanumeric() || "-._+=@/ ".contains(letter);
        if prefix.len() > LONGEST_PREFIX || !prefix.split('/').all(is_part) || !prefix.chars().all(fits) {
            return Err(wrong(
                "PREFIX is letters, digits, spaces and any of -._+=@, in parts with one slash between",
            ));
        }
        Ok(Self { bucket: bucket.into(), prefix: prefix.into() })
    }

    /// The name of the bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What the names of all objects of the index begin with, without the last slash.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The last part of the prefix, by which the index is known.
    pub fn name(&self) -> &str {
        self.prefix.rsplit('/').next().unwrap_or(&self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_bucket_and_a_place_in_it() {
        let address = BucketAddress::parse("s3://my-bucket/search/Notizen über=1/").unwrap();
        assert_eq!((address.bucket(), address.prefix()), ("my-bucket", "search/Notizen über=1"));
        assert_eq!(address.name(), "Notizen über=1");
        assert_eq!(address.to_string(), "s3://my-bucket/search/Notizen über=1");
        assert!(BucketAddress::is_one("s3://") && !BucketAddress::is_one("/s3:/a"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        for text in [
            "s3://",
            "s3://ab/c",
            "s3://bucket",
            "s3://bucket/",
            "s3://bucket//a",
            "s3://bucket/a//b",
            "s3://bucket/a/../b",
            "s3://bucket/a\nb",
            "s3://bucket/a?b",
            "s3://user:secret@bucket/a",
            &format!("s3://bucket/{}", "a".repeat(1000)),
        ] {
            let error = BucketAddress::parse(text).unwrap_err().to_string();
            assert!(error.contains("names no place in a bucket: "), "{error}");
        }
    }
}
