//! What office formats share.

use akin_index::Metadata;

use super::xml::{Part, walk};

/// The level of a heading that the name of a style tells.
pub(super) fn heading_of_style(style: &str) -> Option<usize> {
    let style = style.to_ascii_lowercase().replace(['_', ' '], "");
    if style == "title" {
        return Some(1);
    }
    let level = style.strip_prefix("heading")?.parse().ok()?;
    (1..=9).contains(&level).then_some(level)
}

/// The title, the author and the like that a file of properties has: Dublin Core, in every office format. One that is damaged
/// has none.
pub(super) fn fields(xml: &str) -> Metadata {
    let mut metadata = Metadata::new();
    let (mut open, mut value) = (None, String::new());
    let _ = walk(xml, |part| {
        match part {
            Part::Start(element) => {
                open = field_of(&element.name());
                value.clear();
            }
            Part::Text(text) if open.is_some() => value.push_str(&text),
            Part::Text(_) => {}
            Part::End(_) => {
                let trimmed = value.trim();
                if let Some(field) = open.take().filter(|_| !trimmed.is_empty()) {
                    metadata.entry(field).or_insert_with(|| trimmed.into());
                }
            }
        }
        Ok(())
    });
    metadata
}

fn field_of(element: &str) -> Option<&'static str> {
    Some(match element {
        "title" => "title",
        "creator" | "initial-creator" => "author",
        "subject" => "subject",
        "description" => "description",
        "language" => "language",
        _ => return None,
    })
}

/// The number at the end of the name of a part: slides and sheets are numbered, and 10 comes after 9.
pub(super) fn number_of(name: &str) -> u64 {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    stem[stem.len() - digits..].parse().unwrap_or(0)
}

/// The parts of an archive in a folder, in the order of their numbers.
pub(super) fn numbered(names: &[String], folder: &str) -> Vec<String> {
    let within = |name: &&String| {
        name.strip_prefix(folder).is_some_and(|rest| !rest.contains('/') && rest.ends_with(".xml"))
    };
    let mut parts: Vec<String> = names.iter().filter(within).cloned().collect();
    parts.sort_by_key(|name| number_of(name));
    parts
}
