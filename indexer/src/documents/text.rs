//! Plain text: in UTF-8, UTF-16 where a mark at its beginning says so, or an encoding that was named.

use akin_index::Metadata;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::{Extracted, NOT_UTF_8, Unread};

/// Bytes that are looked at to tell text from other things.
const LOOKED_AT: usize = 8192;

/// The text of a file.
pub(super) fn read(bytes: Vec<u8>, encoding: Option<&'static Encoding>) -> Result<Extracted, Unread> {
    let text = decode(bytes, encoding).map_err(Unread::Because)?;
    Ok(Extracted { text, metadata: Metadata::new() })
}

/// The characters of bytes, without a mark.
fn decode(bytes: Vec<u8>, encoding: Option<&'static Encoding>) -> Result<String, String> {
    let marked = Encoding::for_bom(&bytes).map(|(encoding, _)| encoding);
    if let Some(encoding) = marked.or(encoding).filter(|encoding| *encoding != UTF_8) {
        let (text, damaged) = encoding.decode_with_bom_removal(&bytes);
        return match damaged {
            true => Err(format!("not {}: it is in another encoding", encoding.name())),
            false => Ok(text.into_owned()),
        };
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("{NOT_UTF_8} on line {line}: it is in another encoding")
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Whether bytes look like text, in whatever encoding: programs and pictures have control characters in their beginning.
pub(super) fn looks_like_text(bytes: &[u8]) -> bool {
    let beginning = &bytes[..bytes.len().min(LOOKED_AT)];
    let marked = Encoding::for_bom(beginning).map(|(encoding, _)| encoding);
    if marked == Some(UTF_16LE) || marked == Some(UTF_16BE) {
        return true;
    }
    let is_utf8 = std::str::from_utf8(beginning).map_or_else(|error| error.error_len().is_none(), |_| true);
    if is_utf8 {
        return !beginning.contains(&0);
    }
    // Escapes are part of some encodings, and of what terminals print.
    let is_control = |byte: &u8| matches!(byte, 0..=8 | 14..=26 | 28..=31 | 127);
    !beginning.iter().any(is_control)
}

#[cfg(test)]
mod tests {
    use encoding_rs::WINDOWS_1252;

    use super::*;

    #[test]
    fn a_mark_counts_more_than_what_was_said_and_that_more_than_utf_8() {
        let latin = b"caf\xe9".to_vec();
        assert_eq!(decode(latin.clone(), Some(WINDOWS_1252)).unwrap(), "café");
        assert_eq!(
            decode(b"one\ncaf\xe9".to_vec(), None).unwrap_err(),
            "not UTF-8 on line 2: it is in another encoding"
        );
        let utf16: Vec<u8> = "\u{feff}café".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(utf16, Some(WINDOWS_1252)).unwrap(), "café");
        assert_eq!(decode(b"\xef\xbb\xbfcaf\xc3\xa9".to_vec(), Some(WINDOWS_1252)).unwrap(), "café");
        assert!(decode(b"\xff\xfe\x00\xd8".to_vec(), None).unwrap_err().contains("UTF-16LE"));
        assert!(looks_like_text(&latin) && !looks_like_text(b"\x7fELF\x02\x01\xff\x00"));
        assert!(!looks_like_text(b"GIF89a\xe9\x01\x02"));
    }
}
