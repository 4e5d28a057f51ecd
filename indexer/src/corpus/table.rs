//! Parquet: one document for each row.

use std::any::Any;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use akin_index::{Document, Metadata};
use parquet::basic::{LogicalType, TimeUnit};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::{Number, Value};

use super::CorpusOptions;
use super::fields::{Fields, Place};
use crate::documents::catching_panics;
use crate::{Error, Result};

/// Rows that are read ahead.
const AHEAD: usize = 64;

/// Rows of a column that are decoded together.
const BATCH: usize = 256;

/// The rows of a file as documents; columns that are neither id nor text become metadata. They are read on a thread of their own: a
/// panic of the reader is a fault of the file.
pub(super) struct TableDocuments {
    rows: Receiver<Result<Document>>,
    ended: bool,
}

impl TableDocuments {
    pub(super) fn new(opened: File, file: String, options: &CorpusOptions) -> Self {
        let fields = Fields::new(options);
        let (sender, rows) = sync_channel(AHEAD);
        let reader = Table { file, fields, row: 0 };
        // If there is no thread, nobody sends, and that is reported.
        let _ = thread::Builder::new().name("parquet".into()).spawn(move || reader.send_all(opened, &sender));
        Self { rows, ended: false }
    }
}

impl Iterator for TableDocuments {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.rows.recv().ok();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

struct Table {
    file: String,
    fields: Fields,
    /// The row that is read now, from 1; 0 before the first.
    row: u64,
}

impl Table {
    /// Sends all rows, until one is at fault or nobody takes them any more.
    fn send_all(mut self, opened: File, sender: &SyncSender<Result<Document>>) {
        let outcome = catching_panics(|| catch_unwind(AssertUnwindSafe(|| self.read(opened, sender))));
        let fault = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(panic) => self.fault(&said_by(&*panic)),
        };
        // Nobody needs to hear it.
        let _ = sender.send(Err(fault));
    }

    fn read(&mut self, opened: File, sender: &SyncSender<Result<Document>>) -> Result<()> {
        let reader = SerializedFileReader::new(opened).map_err(|error| self.fault(&error.to_string()))?;
        let names: Vec<&str> = reader
            .metadata()
            .file_metadata()
            .schema()
            .get_fields()
            .iter()
            .map(|field| field.name())
            .collect();
        if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            let reason = format!("two columns are named {:?}: rename one of them", twice.1);
            return Err(Place { file: &self.file, line: 0 }.fault(reason));
        }
        let schema = reader.metadata().file_metadata().schema();
        let in_nanoseconds: Vec<bool> =
            schema.get_fields().iter().map(|column| is_nanoseconds(column)).collect();
        let rows = RowIter::from_file_into(Box::new(reader)).with_batch_size(BATCH);
        for row in rows {
            self.row += 1;
            let row = row.map_err(|error| self.fault(&error.to_string()))?;
            let place = Place { file: &self.file, line: self.row };
            let document = self.fields.document(fields_of(row, &in_nanoseconds), "", &place)?;
            if sender.send(Ok(document)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn fault(&self, what: &str) -> Error {
        let reason = format!("this is no Parquet that can be read: {what}");
        Place { file: &self.file, line: self.row }.fault(reason)
    }
}

/// What a panic said.
fn said_by(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    said.unwrap_or("its reader gave up").to_owned()
}

/// Whether a column has times in nanoseconds, as pandas writes them. The reader gives them as plain integers.
fn is_nanoseconds(column: &Type) -> bool {
    let logical = column.get_basic_info().logical_type_ref();
    matches!(logical, Some(LogicalType::Timestamp(time)) if time.unit == TimeUnit::NANOS)
}

fn fields_of(row: Row, in_nanoseconds: &[bool]) -> Metadata {
    let columns = row.into_columns().into_iter().enumerate();
    columns
        .map(|(at, (name, field))| match field {
            Field::Long(time) if in_nanoseconds.get(at) == Some(&true) => {
                (name, value_of(&Field::TimestampMicros(time.div_euclid(1000))))
            }
            field => (name, value_of(&field)),
        })
        .collect()
}

/// The same in JSON. Dates and times are texts that sort as they do; bytes that are no text are left out.
fn value_of(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        Field::Float16(value) => real(f64::from(value.to_f32())),
        // As it is written, and not with the digits of a double.
        Field::Float(value) => real(value.to_string().parse().unwrap_or(f64::NAN)),
        Field::Double(value) => real(*value),
        Field::Str(text) => text.as_str().into(),
        Field::Bytes(bytes) => std::str::from_utf8(bytes.data()).map_or(Value::Null, Value::from),
        Field::TimestampMillis(_) | Field::TimestampMicros(_) => {
            let written = field.to_string();
            let written = written.trim_matches('"').replacen(' ', "T", 1).replace(" +00:00", "Z");
            // Most times are of whole seconds.
            written.replace(".000000Z", "Z").replace(".000Z", "Z").into()
        }
        Field::Decimal(_) | Field::Date(_) | Field::TimeMillis(_) | Field::TimeMicros(_) => {
            field.to_string().trim_matches('"').into()
        }
        Field::Group(row) => Value::Object(
            row.get_column_iter().map(|(name, field)| (name.clone(), value_of(field))).collect(),
        ),
        Field::ListInternal(list) => list.elements().iter().map(value_of).collect(),
        Field::MapInternal(map) => {
            Value::Object(map.entries().iter().map(|(key, value)| (key_of(key), value_of(value))).collect())
        }
    }
}

fn key_of(key: &Field) -> String {
    match value_of(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// JSON has neither infinities nor what is no number.
fn real(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
