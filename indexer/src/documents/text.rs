//! Plain text: in UTF-8, or UTF-16 where a mark at its beginning says so.

use akin_index::Metadata;
use encoding_rs::{UTF_16BE, UTF_16LE};

use super::{Extracted, Unread};

/// Bytes that are looked at to tell text from other things.
const LOOKED_AT: usize = 8192;

/// The text of a file.
pub(super) fn read(bytes: Vec<u8>) -> Result<Extracted, Unread> {
    let text = decode(bytes).map_err(Unread::Because)?;
    Ok(Extracted { text, metadata: Metadata::new() })
}

/// The characters of bytes, without a mark.
fn decode(bytes: Vec<u8>) -> Result<String, String> {
    if let Some(encoding) = [UTF_16LE, UTF_16BE].into_iter().find(|encoding| marked(&bytes, encoding)) {
        let (text, damaged) = encoding.decode_with_bom_removal(&bytes);
        return if damaged {
            Err(format!("not {} as its mark says", encoding.name()))
        } else {
            Ok(text.into_owned())
        };
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 at byte {}: convert it", error.utf8_error().valid_up_to() + 1))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn marked(bytes: &[u8], encoding: &encoding_rs::Encoding) -> bool {
    encoding_rs::Encoding::for_bom(bytes).is_some_and(|(found, _)| found == encoding)
}

/// Whether bytes look like text.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let beginning = &bytes[..bytes.len().min(LOOKED_AT)];
    if marked(beginning, UTF_16LE) || marked(beginning, UTF_16BE) {
        return true;
    }
    let is_utf8 = std::str::from_utf8(beginning).map_or_else(|error| error.error_len().is_none(), |_| true);
    is_utf8 && !beginning.contains(&0)
}
