//! Books in EPUB: the pages of the spine, in its order.

use std::collections::HashMap;

use super::archive::Archive;
use super::blocks::MAX_TEXT_BYTES;
use super::office::fields;
use super::xml::{Part, walk};
use super::{Extracted, Unread, html};

/// Reads a book.
pub(super) fn read(bytes: Vec<u8>) -> Result<Extracted, Unread> {
    let mut archive = Archive::open(bytes).map_err(Unread::Because)?;
    extract(&mut archive).map_err(Unread::Because)
}

fn extract(archive: &mut Archive) -> Result<Extracted, String> {
    let package_path = package_path(&archive.required("META-INF/container.xml")?)?;
    let package = archive.required(&package_path)?;
    let folder = package_path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let mut text = String::new();
    for page in spine(&package)? {
        let Some(page) = archive.text(&joined(&folder, &page))? else { continue };
        let page = html::extract(&page)?.text;
        if text.len() + page.len() > MAX_TEXT_BYTES {
            return Err(format!("it has more than {} MiB of text", MAX_TEXT_BYTES >> 20));
        }
        if !text.is_empty() && !page.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&page);
    }
    Ok(Extracted { text, metadata: fields(&package) })
}

fn package_path(container: &str) -> Result<String, String> {
    let mut path = None;
    walk(container, |part| {
        if let Part::Start(element) = part
            && element.name() == "rootfile"
            && path.is_none()
        {
            path = element.attribute("full-path");
        }
        Ok(())
    })?;
    path.ok_or_else(|| "damaged: it names no package".into())
}

/// The paths of the pages, beside the package.
fn spine(package: &str) -> Result<Vec<String>, String> {
    let mut items = HashMap::new();
    let mut order = Vec::new();
    walk(package, |part| {
        if let Part::Start(element) = part {
            match element.name().as_str() {
                "item" => {
                    let (id, path) = (element.attribute("id"), element.attribute("href"));
                    let is_page = element.attribute("media-type").is_none_or(|kind| kind.contains("html"));
                    if let (Some(id), Some(path)) = (id, path)
                        && is_page
                    {
                        items.insert(id, path);
                    }
                }
                "itemref" => order.extend(element.attribute("idref")),
                _ => {}
            }
        }
        Ok(())
    })?;
    Ok(order.iter().filter_map(|id| items.get(id).cloned()).collect())
}

/// The name in the archive of a path beside the package.
fn joined(folder: &str, path: &str) -> String {
    let path = path.split('#').next().unwrap_or(path);
    let mut parts: Vec<&str> = Vec::new();
    let full = format!("{folder}{}", unescaped(path));
    for part in full.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// A path without `%20` and its like.
fn unescaped(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
