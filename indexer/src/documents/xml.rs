//! XML, an event at a time: names without their prefixes, and nothing is expanded but characters.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

/// What comes next in a file.
pub(super) enum Part<'a> {
    /// An element begins. One that is empty ends at once.
    Start(Element<'a>),
    /// An element ends, of this name.
    End(String),
    Text(String),
}

/// The beginning of an element.
pub(super) struct Element<'a> {
    start: BytesStart<'a>,
}

impl Element<'_> {
    /// Its name without a prefix.
    pub(super) fn name(&self) -> String {
        self.start.local_name().as_ref().to_owned()
    }

    /// The value of an attribute, by its name without a prefix.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.start.html_attributes();
        attributes.with_checks(false);
        let found =
            attributes.filter_map(Result::ok).find(|found| found.key.local_name().as_ref() == name)?;
        Some(match found.normalized_value(XmlVersion::Implicit1_0) {
            Ok(value) => value.into_owned(),
            Err(_) => found.value.into_owned(),
        })
    }
}

/// Calls `part` with each part of a file, in order, until it fails. A file that ends early gives what came before.
///
/// # Errors
/// That of `part`, or where the file is no XML.
pub(super) fn walk(xml: &str, mut part: impl FnMut(Part<'_>) -> Result<(), String>) -> Result<(), String> {
    let mut reader = Reader::from_str(xml);
    let config = reader.config_mut();
    (config.check_end_names, config.allow_unmatched_ends, config.allow_dangling_amp) = (false, true, true);
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => part(Part::Start(Element { start }))?,
            Ok(Event::Empty(start)) => {
                let name = start.local_name().as_ref().to_owned();
                part(Part::Start(Element { start }))?;
                part(Part::End(name))?;
            }
            Ok(Event::End(end)) => part(Part::End(end.local_name().as_ref().to_owned()))?,
            Ok(Event::Text(text)) => part(Part::Text(text.xml10_content().into_owned()))?,
            Ok(Event::CData(text)) => part(Part::Text(text.xml10_content().into_owned()))?,
            Ok(Event::GeneralRef(reference)) => {
                if let Some(text) = character(&reference) {
                    part(Part::Text(text))?;
                }
            }
            Ok(Event::Eof) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(format!("damaged: byte {}: {error}", reader.error_position())),
        }
    }
}

/// The character that a reference stands for, if it is none of a document's own.
fn character(reference: &quick_xml::events::BytesRef<'_>) -> Option<String> {
    if let Ok(Some(found)) = reference.resolve_char_ref() {
        return Some(found.to_string());
    }
    let name: &str = reference;
    Some(
        match name {
            "lt" => "<",
            "gt" => ">",
            "amp" => "&",
            "quot" => "\"",
            "apos" => "'",
            _ => return None,
        }
        .to_owned(),
    )
}
