//! PDF: a page of text for each page.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use akin_index::Metadata;
use pdf_extract::{Document, Object, ObjectId, PlainTextOutput, output_doc_page};

use super::blocks::MAX_TEXT_BYTES;
use super::{Extracted, Unread};

/// Pages that are read, at most.
const MAX_PAGES: usize = 50_000;

/// Reads a document.
pub(super) fn read(bytes: &[u8]) -> Result<Extracted, Unread> {
    extract(bytes).map_err(Unread::Because)
}

fn extract(bytes: &[u8]) -> Result<Extracted, String> {
    let mut document = Document::load_mem(bytes).map_err(|error| format!("damaged: {error}"))?;
    if document.is_encrypted() {
        document.decrypt("").map_err(|_| "encrypted: it needs a password".to_owned())?;
    }
    require_endless_forms_away(&document)?;
    let pages = document.get_pages();
    if pages.len() > MAX_PAGES {
        return Err(format!("it has more than {MAX_PAGES} pages"));
    }
    let mut text = String::new();
    for number in pages.keys() {
        let page = text_of_page(&document, *number);
        if text.len() + page.len() > MAX_TEXT_BYTES {
            return Err(format!("it has more than {} MiB of text", MAX_TEXT_BYTES >> 20));
        }
        if *number > 1 {
            text.push('\x0c');
        }
        text.push_str(tidy(&page).trim());
    }
    if text.trim().is_empty() {
        return Err("there is no text in it, only pictures: it would have to be recognised".into());
    }
    Ok(Extracted { text, metadata: fields(&document) })
}

/// The text of a page. One that cannot be read has what came before the fault, and the others have theirs.
fn text_of_page(document: &Document, number: u32) -> String {
    let mut page = String::new();
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let mut output = PlainTextOutput::new(&mut page);
        output_doc_page(document, &mut output, number)
    }));
    page
}

/// Letters that are set as one sign.
const LIGATURES: [(char, &str); 7] =
    [('ﬀ', "ff"), ('ﬁ', "fi"), ('ﬂ', "fl"), ('ﬃ', "ffi"), ('ﬄ', "ffl"), ('ﬅ', "st"), ('ﬆ', "st")];

/// The lines of a page: a blank one between paragraphs, and words whole that were divided at the end of a line.
fn tidy(page: &str) -> String {
    let mut tidy = String::with_capacity(page.len());
    let mut blank = false;
    for line in page.lines().map(str::trim) {
        if line.is_empty() {
            blank = true;
            continue;
        }
        if !blank && is_divided(&tidy, line) {
            tidy.pop();
        } else if !tidy.is_empty() {
            tidy.push_str(if blank { "\n\n" } else { "\n" });
        }
        blank = false;
        for letter in line.chars() {
            match LIGATURES.iter().find(|(ligature, _)| *ligature == letter) {
                Some((_, letters)) => tidy.push_str(letters),
                None => tidy.push(letter),
            }
        }
    }
    tidy
}

/// Whether a word goes on in the next line after a hyphen.
fn is_divided(before: &str, line: &str) -> bool {
    let divided = before.strip_suffix('-').and_then(|word| word.chars().next_back());
    divided.is_some_and(char::is_alphabetic) && line.starts_with(char::is_lowercase)
}

/// Refuses a document whose forms contain themselves: drawing one would not end.
fn require_endless_forms_away(document: &Document) -> Result<(), String> {
    let mut done = HashSet::new();
    for form in document.objects.keys() {
        // Each form with all that it contains, deepest first, without calls within calls.
        let mut open: Vec<(ObjectId, Vec<ObjectId>)> = vec![(*form, forms_of(document, *form))];
        let mut above: HashSet<ObjectId> = HashSet::from([*form]);
        while let Some((id, contained)) = open.last_mut() {
            match contained.pop() {
                Some(next) if above.contains(&next) => {
                    return Err("damaged: its forms contain themselves".into());
                }
                Some(next) if !done.contains(&next) => {
                    above.insert(next);
                    open.push((next, forms_of(document, next)));
                }
                Some(_) => {}
                None => {
                    above.remove(id);
                    done.insert(*id);
                    open.pop();
                }
            }
        }
    }
    Ok(())
}

/// The forms that a form draws.
fn forms_of(document: &Document, id: ObjectId) -> Vec<ObjectId> {
    let forms = || {
        let stream = document.get_object(id).ok()?.as_stream().ok()?;
        let resources = document.dereference(stream.dict.get(b"Resources").ok()?).ok()?.1.as_dict().ok()?;
        let drawn = document.dereference(resources.get(b"XObject").ok()?).ok()?.1.as_dict().ok()?;
        Some(drawn.iter().filter_map(|(_, object)| object.as_reference().ok()).collect())
    };
    forms().unwrap_or_default()
}

/// The title and the author.
fn fields(document: &Document) -> Metadata {
    let mut metadata = Metadata::new();
    let info = document.trailer.get(b"Info").and_then(|info| document.dereference(info));
    let Ok(info) = info.and_then(|(_, info)| info.as_dict()) else { return metadata };
    for (key, name) in [(&b"Title"[..], "title"), (b"Author", "author"), (b"Subject", "subject")] {
        let value = info.get(key).and_then(|value| document.dereference(value)).map(|(_, value)| value);
        if let Ok(Object::String(bytes, _)) = value {
            let text = string_of(bytes);
            if !text.trim().is_empty() {
                metadata.insert(name.into(), text.trim().into());
            }
        }
    }
    metadata
}

/// A string of a PDF: UTF-16 with a mark, or else nearly Latin-1.
fn string_of(bytes: &[u8]) -> String {
    match bytes {
        [0xfe, 0xff, rest @ ..] => encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0.into_owned(),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divided_words_are_joined_and_ligatures_are_letters() {
        assert_eq!(tidy("a con-\nsecutive ﬁrst\n\n\n A -\nb x-\nY\n"), "a consecutive first\n\nA -\nb x-\nY");
    }
}
