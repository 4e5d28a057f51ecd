//! The columns of a segment: which of its documents fit a filter, without their records.

use super::Segment;
use super::sections::{Section, Sections};
use super::write::SegmentWriter;
use crate::Result;
use crate::columns::builder::ColumnsBuilder;
use crate::columns::column::Column;
use crate::columns::{ColumnRecord, Directory, VERSION};
use crate::document::DocumentRecord;
use crate::filter::{DocumentSet, Filter, Fits};
use crate::graph::Fault;
use crate::manifest::decode;

/// Writes the sections of columns.
pub(crate) fn write_columns(writer: &mut SegmentWriter<'_>, builder: ColumnsBuilder) -> Result<()> {
    let (directory, data) = builder.finish();
    writer.section(Section::Columns, &directory)?;
    writer.section(Section::ColumnData, &data)
}

/// Both sections of columns are there or none.
pub(super) fn check_columns(sections: &Sections) -> std::result::Result<(), String> {
    match sections.has(Section::Columns) == sections.has(Section::ColumnData) {
        true => Ok(()),
        false => Err("its sections of columns do not fit each other".into()),
    }
}

impl Segment {
    /// The documents that fit a filter, deleted ones too, and which of its fields some document has. None where records
    /// must be read: a segment of an earlier release has no columns, and a field of long texts is in none.
    pub(crate) fn select(&self, filter: &Filter) -> Result<Option<(DocumentSet, Vec<bool>)>, Fault> {
        let Some(directory) = self.columns()?.filter(|directory| directory.is_whole) else { return Ok(None) };
        let find = |name: &str| {
            let place = directory.columns.binary_search_by(|column| column.name.as_str().cmp(name));
            place.ok().map(|place| &directory.columns[place])
        };
        let named: Vec<Option<&ColumnRecord>> = filter.fields().into_iter().map(find).collect();
        if named.iter().flatten().any(|column| !column.is_whole) {
            return Ok(None);
        }
        let fitting = filter.select(self.documents(), &|name: &str, fits: Fits<'_>| match find(name) {
            Some(column) => self.fitting(column, fits),
            None => Ok(DocumentSet::none(self.documents())),
        })?;
        Ok(Some((fitting, named.iter().map(Option::is_some).collect())))
    }

    /// Whether it has columns of this release.
    pub(crate) fn has_columns(&self) -> Result<bool, Fault> {
        Ok(self.columns()?.is_some())
    }

    /// What it says of its columns. None if it has none, or they were made by another release in another way.
    fn columns(&self) -> Result<Option<Directory>, Fault> {
        if !self.sections.has(Section::Columns) {
            return Ok(None);
        }
        self.check_section(Section::Columns)?;
        let bytes = self.sections.bytes(Section::Columns);
        if bytes.first() != Some(&(VERSION as u8)) {
            return Ok(None);
        }
        let fault = |why: &str| self.sections.fault(Section::Columns, why);
        let directory: Directory = decode(bytes).map_err(|why| fault(&why))?;
        let mut end = 0u64;
        for column in &directory.columns {
            let bytes = column.bytes(self.documents() as u64);
            let bytes =
                bytes.filter(|_| column.at == end).ok_or_else(|| fault("a column has other parts"))?;
            end = end.checked_add(bytes).ok_or_else(|| fault("a column is too long"))?;
        }
        let ascend = directory.columns.is_sorted_by(|a, b| a.name < b.name);
        match ascend && end == self.sections.len(Section::ColumnData) {
            true => Ok(Some(directory)),
            false => Err(fault("its columns are not what it says")),
        }
    }

    /// The documents that have a fitting value in a column.
    fn fitting(&self, record: &ColumnRecord, fits: Fits<'_>) -> Result<DocumentSet, Fault> {
        let fault = |why: &str| self.sections.fault(Section::ColumnData, why);
        let bytes = record.bytes(self.documents() as u64).ok_or_else(|| fault("a column has other parts"))?;
        let range = record.at as usize..(record.at + bytes) as usize;
        self.sections.check(Section::ColumnData, range.clone())?;
        let bytes = &self.sections.bytes(Section::ColumnData)[range];
        let column =
            Column::of(record, self.documents(), bytes).ok_or_else(|| fault("a column is too short"))?;
        let mut fitting = DocumentSet::none(self.documents());
        let read = column.each_fitting(self.documents(), fits, &mut |document| fitting.insert(document));
        read.map_err(|why| fault(&why))?;
        Ok(fitting)
    }

    /// The columns are those of the documents.
    pub(super) fn verify_columns(&self) -> Result<(), Fault> {
        if self.columns()?.is_none() {
            return Ok(());
        }
        let mut builder = ColumnsBuilder::default();
        self.each_record(0..self.documents(), &|_| true, &mut |_, record| {
            builder.add_json(DocumentRecord::metadata(record)?)
        })?;
        let held = (self.sections.bytes(Section::Columns), self.sections.bytes(Section::ColumnData));
        let (directory, data) = builder.finish();
        match (&*directory, &*data) == held {
            true => Ok(()),
            false => Err(self.sections.fault(Section::ColumnData, "it is not that of the documents")),
        }
    }
}
