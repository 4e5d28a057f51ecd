//! Makes the columns of documents that are written.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::{ColumnRecord, Directory, VERSION, width};
use crate::Metadata;
use crate::filter::{field, text_of};
use crate::manifest::encode;

/// Columns of a segment, at most: with more fields than this there are none.
const COLUMNS: usize = 1024;

/// Bytes of a text in a column, at most: a field with a longer one is no label, and is read from the records.
const TEXT: usize = 512;

/// Bytes of all texts of a column, at most.
const TEXTS: usize = 16 << 20;

/// The columns of the documents that it was shown.
#[derive(Debug, Default)]
pub(crate) struct ColumnsBuilder {
    documents: u32,
    columns: HashMap<String, Building>,
    /// Whether there are too many fields.
    gave_up: bool,
}

/// A column that is being made.
#[derive(Debug, Default)]
struct Building {
    numbers: HashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
    bytes: usize,
    /// Documents and the numbers of their texts, in order.
    values: Vec<(u32, u32)>,
    is_list: bool,
    gave_up: bool,
}

impl ColumnsBuilder {
    /// Adds the next document.
    pub(crate) fn add(&mut self, metadata: &Metadata) {
        let document = self.documents;
        self.documents += 1;
        if metadata.is_empty() || self.gave_up {
            return;
        }
        let mut names = BTreeSet::new();
        collect_names(metadata, "", &mut names);
        for name in names {
            if !self.columns.contains_key(&name) {
                if self.columns.len() == COLUMNS {
                    self.gave_up = true;
                    self.columns = HashMap::new();
                    return;
                }
                self.columns.insert(name.clone(), Building::default());
            }
            let values = field(metadata, &name).into_iter().filter_map(text_of);
            if let Some(column) = self.columns.get_mut(&name).filter(|column| !column.gave_up) {
                values.for_each(|text| column.add(document, &text));
            }
        }
    }

    /// The same for metadata as JSON.
    pub(crate) fn add_json(&mut self, json: &str) -> Result<(), String> {
        match json.is_empty() || self.gave_up {
            true => self.add(&Metadata::new()),
            false => self.add(&serde_json::from_str(json).map_err(|error| error.to_string())?),
        }
        Ok(())
    }

    /// The directory and the data.
    pub(crate) fn finish(self) -> (Vec<u8>, Vec<u8>) {
        let mut columns: Vec<(String, Building)> = self.columns.into_iter().collect();
        columns.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut data = Vec::new();
        let columns = columns.into_iter().map(|(name, column)| column.write(name, self.documents, &mut data));
        let columns = columns.collect();
        let directory = Directory { version: VERSION, is_whole: !self.gave_up, columns };
        (encode(&directory), data)
    }
}

impl Building {
    fn add(&mut self, document: u32, text: &str) {
        if self.gave_up {
            return;
        }
        let number = match self.numbers.get(text) {
            Some(number) => *number,
            None if text.len() > TEXT || self.bytes + text.len() > TEXTS => {
                *self = Self { gave_up: true, ..Self::default() };
                return;
            }
            None => {
                self.texts.push(text.into());
                self.bytes += text.len();
                self.numbers.insert(text.into(), self.texts.len() as u32);
                self.texts.len() as u32
            }
        };
        self.is_list |= self.values.last().is_some_and(|(last, _)| *last == document);
        self.values.push((document, number));
    }

    fn write(self, name: String, documents: u32, data: &mut Vec<u8>) -> ColumnRecord {
        let at = data.len() as u64;
        self.texts.iter().for_each(|text| data.extend_from_slice(text.as_bytes()));
        let mut end = 0u32;
        for text in &self.texts {
            end += text.len() as u32;
            data.extend_from_slice(&end.to_le_bytes());
        }
        let width = width(self.texts.len());
        let mut put = |number: u32| data.extend_from_slice(&number.to_le_bytes()[..width.into()]);
        let values = if self.is_list { self.values.len() as u32 } else { documents };
        if !self.is_list && !self.gave_up {
            let mut held = self.values.iter().peekable();
            for document in 0..documents {
                put(held.next_if(|(of, _)| *of == document).map_or(0, |(_, number)| *number));
            }
        } else if self.is_list {
            let mut left = &self.values[..];
            for document in 0..documents {
                left = &left[left.iter().take_while(|(of, _)| *of == document).count()..];
                let end = self.values.len() - left.len();
                data.extend_from_slice(&(end as u32).to_le_bytes());
            }
            let mut put = |number: u32| data.extend_from_slice(&number.to_le_bytes()[..width.into()]);
            self.values.iter().for_each(|(_, number)| put(*number));
        }
        ColumnRecord {
            name,
            at,
            text_bytes: self.bytes as u64,
            texts: self.texts.len() as u32,
            is_list: self.is_list,
            values: if self.gave_up { 0 } else { values },
            width,
            is_whole: !self.gave_up,
        }
    }
}

/// The names of all fields, those of fields behind a dot.
fn collect_names(metadata: &Metadata, before: &str, names: &mut BTreeSet<String>) {
    for (name, value) in metadata {
        let name = format!("{before}{name}");
        let within = format!("{name}.");
        match value {
            Value::Object(object) => collect_names(object, &within, names),
            Value::Array(elements) => {
                elements
                    .iter()
                    .filter_map(Value::as_object)
                    .for_each(|object| collect_names(object, &within, names));
            }
            _ => {}
        }
        names.insert(name);
        // What has more fields than this gives up, and need not be gone through.
        if names.len() > COLUMNS {
            return;
        }
    }
}
