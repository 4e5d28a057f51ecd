//! Rows of a collection, as they are sent and as they come back.

use std::collections::HashMap;

use akin_index::{Document, Metadata, Passage};
use serde_json::Value;

use super::schema::WORDS;
use super::wire::{
    Blobs, Column, FLOAT_VECTOR, FieldData, Floats, INT64, JSON, Longs, Scalars, Texts, VARCHAR, Values,
    Vectors,
};

/// A row of a collection: a passage of a document. The first has the metadata.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) id: String,
    /// The place of the passage in the document, and how many there are.
    pub(super) part: i64,
    pub(super) parts: i64,
    /// How many rows, from the first, have a piece of the text.
    pub(super) pieces: i64,
    /// Greater for what was written later; the same in all rows of a document.
    pub(super) seq: i64,
    /// Where the passage is in the text: -1 where it is the whole text.
    pub(super) first: i64,
    pub(super) last: i64,
    /// Of text and metadata, in digits of base 16: the rows of a document have the same.
    pub(super) hash: String,
    /// A piece of the text of the document.
    pub(super) text: String,
    pub(super) metadata: Vec<u8>,
    pub(super) terms: Vec<u8>,
    /// The words of the passage, where the collection keeps them.
    pub(super) words: Option<String>,
    pub(super) vector: Vec<f32>,
}

impl Row {
    /// The bytes that it is sent with, roughly.
    pub(super) fn bytes(&self) -> usize {
        4 * self.vector.len()
            + self.text.len()
            + self.metadata.len()
            + self.terms.len()
            + self.words.as_ref().map_or(0, String::len)
            + self.id.len()
            + self.key.len()
            + self.hash.len()
            + 100
    }

    /// What the keys of a document begin with: the key of its first row.
    pub(super) fn first_key(&self) -> &str {
        self.key.split('.').next().unwrap_or_default()
    }

    pub(super) fn passage(&self) -> Option<Passage> {
        Some(Passage { start: u32::try_from(self.first).ok()?, end: u32::try_from(self.last).ok()? })
    }

    pub(super) fn metadata(&self) -> Metadata {
        match serde_json::from_slice(&self.metadata) {
            Ok(Value::Object(metadata)) => metadata,
            _ => Metadata::default(),
        }
    }

    /// The document of a first row, whose text is given.
    pub(super) fn document(&self, text: String) -> Document {
        Document { id: self.id.clone(), text, metadata: self.metadata() }
    }
}

/// The key of a row of a document whose first row has the key `first`.
pub(super) fn key_of(first: &str, hash: &str, part: i64) -> String {
    match part {
        0 => first.to_owned(),
        // What was written before stays until the first row of what replaces it is there.
        _ => format!("{first}.{hash}.{part}"),
    }
}

/// Rows as columns.
pub(super) fn columns(rows: &[Row], dimension: usize) -> Vec<FieldData> {
    let longs = |name: &str, of: &dyn Fn(&Row) -> i64| {
        scalars(name, INT64, Values::Longs(Longs { data: rows.iter().map(of).collect() }))
    };
    let texts = |name: &str, of: &dyn Fn(&Row) -> &str| {
        let data = rows.iter().map(|row| of(row).to_owned()).collect();
        scalars(name, VARCHAR, Values::Texts(Texts { data }))
    };
    let blobs = |name: &str, of: &dyn Fn(&Row) -> &[u8]| {
        let data = rows.iter().map(|row| of(row).to_vec()).collect();
        scalars(name, JSON, Values::Json(Blobs { data }))
    };
    let floats = Floats { data: rows.iter().flat_map(|row| row.vector.iter().copied()).collect() };
    let vectors = Vectors { dimension: dimension as i64, floats: Some(floats) };
    let mut columns = vec![
        texts("key", &|row| &row.key),
        texts("id", &|row| &row.id),
        longs("part", &|row| row.part),
        longs("parts", &|row| row.parts),
        longs("pieces", &|row| row.pieces),
        longs("seq", &|row| row.seq),
        longs("first", &|row| row.first),
        longs("last", &|row| row.last),
        texts("hash", &|row| &row.hash),
        texts("text", &|row| &row.text),
        blobs("metadata", &|row| &row.metadata),
        blobs("terms", &|row| &row.terms),
        FieldData {
            data_type: FLOAT_VECTOR,
            name: "embedding".into(),
            column: Some(Column::Vectors(vectors)),
        },
    ];
    if rows.iter().any(|row| row.words.is_some()) {
        columns.push(texts(WORDS, &|row| row.words.as_deref().unwrap_or_default()));
    }
    columns
}

fn scalars(name: &str, data_type: i32, values: Values) -> FieldData {
    let column = Some(Column::Scalars(Scalars { values: Some(values) }));
    FieldData { data_type, name: name.into(), column }
}

/// Columns as rows; what was not asked for is empty in them. None if the columns have not one value for each row.
pub(super) fn rows(columns: Vec<FieldData>) -> Option<Vec<Row>> {
    let mut columns: HashMap<String, Column> =
        columns.into_iter().filter_map(|field| Some((field.name, field.column?))).collect();
    let count = columns.values().map(length).max().unwrap_or(0);
    let mut rows = vec![Row::default(); count];
    let mut longs = |name: &str, set: &dyn Fn(&mut Row, i64)| {
        let Some(Column::Scalars(Scalars { values: Some(Values::Longs(longs)) })) = columns.get(name) else {
            return Some(());
        };
        if longs.data.len() != count {
            return None;
        }
        rows.iter_mut().zip(&longs.data).for_each(|(row, value)| set(row, *value));
        Some(())
    };
    longs("part", &|row, value| row.part = value)?;
    longs("parts", &|row, value| row.parts = value)?;
    longs("pieces", &|row, value| row.pieces = value)?;
    longs("seq", &|row, value| row.seq = value)?;
    longs("first", &|row, value| row.first = value)?;
    longs("last", &|row, value| row.last = value)?;
    let mut texts = |name: &str, set: &dyn Fn(&mut Row, String)| {
        let Some(Column::Scalars(Scalars { values: Some(Values::Texts(texts)) })) = columns.remove(name)
        else {
            return Some(());
        };
        if texts.data.len() != count {
            return None;
        }
        rows.iter_mut().zip(texts.data).for_each(|(row, value)| set(row, value));
        Some(())
    };
    texts("key", &|row, value| row.key = value)?;
    texts("id", &|row, value| row.id = value)?;
    texts("hash", &|row, value| row.hash = value)?;
    texts("text", &|row, value| row.text = value)?;
    texts(WORDS, &|row, value| row.words = Some(value))?;
    if let Some(Column::Scalars(Scalars { values: Some(Values::Json(blobs)) })) = columns.remove("metadata") {
        if blobs.data.len() != count {
            return None;
        }
        rows.iter_mut().zip(blobs.data).for_each(|(row, value)| row.metadata = value);
    }
    if let Some(Column::Vectors(vectors)) = columns.remove("embedding") {
        let dimension = usize::try_from(vectors.dimension).ok().filter(|dimension| *dimension > 0)?;
        let numbers = vectors.floats.unwrap_or_default().data;
        if numbers.len() != count * dimension {
            return None;
        }
        rows.iter_mut().zip(numbers.chunks(dimension)).for_each(|(row, vector)| row.vector = vector.to_vec());
    }
    Some(rows)
}

fn length(column: &Column) -> usize {
    match column {
        Column::Scalars(Scalars { values: Some(Values::Longs(longs)) }) => longs.data.len(),
        Column::Scalars(Scalars { values: Some(Values::Texts(texts)) }) => texts.data.len(),
        Column::Scalars(Scalars { values: Some(Values::Json(blobs)) }) => blobs.data.len(),
        Column::Scalars(_) => 0,
        Column::Vectors(vectors) => {
            let numbers = vectors.floats.as_ref().map_or(0, |floats| floats.data.len());
            numbers / usize::try_from(vectors.dimension).unwrap_or(0).max(1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(part: i64) -> Row {
        let vector = vec![part as f32, 0.5];
        let metadata = b"{\"a\":1}".to_vec();
        Row {
            key: key_of("f", "h", part),
            part,
            first: -1,
            text: "x".into(),
            words: Some(" x ".into()),
            metadata,
            vector,
            ..Row::default()
        }
    }

    #[test]
    fn rows_come_back_from_their_columns_and_columns_of_other_lengths_are_none() {
        let all = vec![row(0), row(1)];
        let sent = columns(&all, 2);
        assert_eq!(rows(sent.clone()), Some(all));
        for cut in 0..sent.len() {
            let mut short = sent.clone();
            let name = short[cut].name.clone();
            match &mut short[cut].column {
                Some(Column::Scalars(Scalars { values: Some(Values::Longs(longs)) })) => {
                    longs.data.truncate(longs.data.len() - 1);
                }
                Some(Column::Scalars(Scalars { values: Some(Values::Texts(texts)) })) => {
                    texts.data.truncate(texts.data.len() - 1);
                }
                Some(Column::Scalars(Scalars { values: Some(Values::Json(blobs)) }))
                    if name == "metadata" =>
                {
                    blobs.data.truncate(blobs.data.len() - 1);
                }
                Some(Column::Vectors(vectors)) => {
                    let floats = &mut vectors.floats.as_mut().unwrap().data;
                    floats.truncate(floats.len() - 1);
                }
                _ => continue,
            }
            assert_eq!(rows(short), None, "{cut}");
        }
        assert_eq!(row(3).first_key(), "f");
        assert_eq!(row(0).passage(), None);
    }
}
