//! A column as it is read: which documents have a value that fits.

use super::ColumnRecord;

/// The parts of a column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'a> {
    texts: &'a [u8],
    text_ends: &'a [[u8; 4]],
    /// Of a list: where the values of each document end.
    value_ends: Option<&'a [[u8; 4]]>,
    values: &'a [u8],
    width: usize,
}

impl ColumnRecord {
    /// How many bytes the column has, among `documents`; none if it does not fit them.
    pub(crate) fn bytes(&self, documents: u64) -> Option<u64> {
        let fits = matches!(self.width, 1 | 2 | 4)
            && (!self.is_list || self.is_whole)
            && (self.is_list || u64::from(self.values) == if self.is_whole { documents } else { 0 });
        let ends = if self.is_list { 4 * documents } else { 0 };
        let values = u64::from(self.values) * u64::from(self.width);
        fits.then(|| self.text_bytes.checked_add(4 * u64::from(self.texts) + ends + values)).flatten()
    }
}

impl<'a> Column<'a> {
    /// The column in its bytes, which are as many as its record says.
    pub(crate) fn of(record: &ColumnRecord, documents: usize, bytes: &'a [u8]) -> Option<Self> {
        let (texts, rest) = bytes.split_at_checked(record.text_bytes as usize)?;
        let (text_ends, rest) = rest.split_at_checked(4 * record.texts as usize)?;
        let ends = if record.is_list { 4 * documents } else { 0 };
        let (value_ends, values) = rest.split_at_checked(ends)?;
        Some(Self {
            texts,
            text_ends: text_ends.as_chunks().0,
            value_ends: record.is_list.then_some(value_ends.as_chunks().0),
            values,
            width: record.width.into(),
        })
    }

    /// Shows each document that has a value whose text `fits`, ascending; or says what is wrong with the column.
    pub(crate) fn each_fitting(
        &self,
        documents: usize,
        fits: &dyn Fn(&str) -> bool,
        show: &mut dyn FnMut(usize),
    ) -> Result<(), String> {
        // The number 0 is no text.
        let mut fitting = vec![false; 1 + self.text_ends.len()];
        let mut start = 0;
        for (end, fitting) in self.text_ends.iter().zip(&mut fitting[1..]) {
            let end = u32::from_le_bytes(*end) as usize;
            let text = self.texts.get(start..end).and_then(|text| std::str::from_utf8(text).ok());
            *fitting = fits(text.ok_or("a value is no text")?);
            start = end;
        }
        let fits = |value: usize| -> Result<bool, String> {
            let number = self.number(value).ok_or("a value is missing")?;
            fitting.get(number).copied().ok_or_else(|| "it names a text that is not there".to_owned())
        };
        let mut value = 0;
        for document in 0..documents {
            let end = match self.value_ends {
                None => document + 1,
                Some(ends) => u32::from_le_bytes(*ends.get(document).ok_or("an end is missing")?) as usize,
            };
            let mut fitted = false;
            while value < end {
                fitted |= fits(value)?;
                value += 1;
            }
            if fitted {
                show(document);
            }
        }
        Ok(())
    }

    fn number(&self, value: usize) -> Option<usize> {
        let at = value.checked_mul(self.width)?;
        let bytes = self.values.get(at..at + self.width)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }
}
