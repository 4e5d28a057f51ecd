//! Tensors of a file that `torch.save` wrote: a zip archive since PyTorch 1.6, and a sequence of pickles before.
//!
//! Nothing of the file is executed. A pickle says which tensors there are (`pickle`, `state_dict`); their values lie
//! beside it as plain numbers.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use zip::{CompressionMethod, ZipArchive};

use super::pickle::{self, Pickle, Value};
use super::state_dict::{self, Layout};
use crate::Result;
use crate::files::refuse;

/// What the first pickle of the older form holds: a number that no other file begins with.
const MAGIC: [u8; 15] = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];

/// The values of a tensor, row by row.
pub(super) struct Tensor<'a> {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub data: Cow<'a, [u8]>,
}

impl<'a> From<TensorView<'a>> for Tensor<'a> {
    fn from(view: TensorView<'a>) -> Self {
        Self { dtype: view.dtype(), shape: view.shape().to_vec(), data: Cow::Borrowed(view.data()) }
    }
}

/// The tensors of a file by name.
pub(super) fn read<'a>(file: &'a [u8], path: &Path) -> Result<BTreeMap<String, Tensor<'a>>> {
    let read = if file.starts_with(&MAGIC) { read_sequence(file) } else { read_archive(file) };
    read.map_err(|reason| refuse(path, format!("not weights that Akin can read: {reason}")))
}

/// Reads a zip archive: `data.pkl`, and a file of numbers for each storage.
fn read_archive(file: &[u8]) -> Result<BTreeMap<String, Tensor<'_>>, String> {
    let mut archive = ZipArchive::new(Cursor::new(file)).map_err(|error| {
        format!("no zip archive, as torch.save writes, truncated or corrupt ({} bytes, {error}): fetch the file again", file.len())
    })?;
    let mut places: HashMap<String, Range<usize>> = HashMap::new();
    for number in 0..archive.len() {
        let entry = archive.by_index_raw(number).map_err(|error| format!("damaged: {error}"))?;
        let name = entry.name().map_err(|error| format!("damaged: {error}"))?.into_owned();
        // The archive has one folder, of any name.
        let name = name.split_once('/').map_or(name.as_str(), |(_, name)| name).to_owned();
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let place = start.zip(usize::try_from(entry.size()).ok()).and_then(|(start, size)| {
            let place = start..start.checked_add(size)?;
            file.get(place.clone()).map(|_| place)
        });
        if entry.compression() != CompressionMethod::Stored {
            return Err(format!("{name} in it is compressed, which torch.save never does"));
        }
        places.insert(name, place.ok_or("truncated: fetch the file again")?);
    }
    if places.get("byteorder").is_some_and(|place| file[place.clone()].starts_with(b"big")) {
        return Err("its numbers begin with the highest byte".into());
    }
    let text =
        places.get("data.pkl").ok_or("it has no data.pkl, which lists the tensors: fetch the file again")?;
    let pickle = pickle::read(&file[text.clone()])?;
    let storage = |key: &str| places.get(&format!("data/{key}")).map(|place| &file[place.clone()]);
    tensors(&pickle, file.len(), storage)
}

/// Reads the form of PyTorch before 1.6: three pickles about the file, one of the tensors, one with the keys of the
/// storages, and then each storage after its length.
fn read_sequence(file: &[u8]) -> Result<BTreeMap<String, Tensor<'_>>, String> {
    let mut at = MAGIC.len();
    let mut next = || {
        let pickle = pickle::read(file.get(at..).unwrap_or_default())?;
        at += pickle.length;
        Ok::<_, String>(pickle)
    };
    let (_protocol, _system, state, keys) = (next()?, next()?, next()?, next()?);
    let widths = state_dict::storage_widths(&state);
    let mut storages: HashMap<&str, &[u8]> = HashMap::new();
    let Value::List(keys_in_order) = keys.root() else { return Err("it has no list of storages".into()) };
    for key in keys_in_order {
        let Value::Text(key) = keys.value(*key) else { return Err("the key of a storage is no text".into()) };
        let width = *widths.get(key).ok_or_else(|| format!("no tensor is in the storage {key:?}"))?;
        let count =
            file.get(at..).and_then(|rest| rest.first_chunk::<8>()).map(|bytes| u64::from_le_bytes(*bytes));
        let length = count.and_then(|count| usize::try_from(count).ok()?.checked_mul(width));
        let from = at + 8;
        let values = length.and_then(|length| file.get(from..from.checked_add(length)?));
        let values = values.ok_or("truncated: fetch the file again")?;
        at = from + values.len();
        storages.insert(*key, values);
    }
    tensors(&state, file.len(), |key| storages.get(key).copied())
}

/// Copies the tensors that a pickle lists out of their storages.
fn tensors<'a>(
    pickle: &Pickle<'a>,
    file_length: usize,
    storage: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<BTreeMap<String, Tensor<'a>>, String> {
    let mut found = BTreeMap::new();
    // Tensors may share a storage, as tied weights do. A hostile file would have thousands share a large one.
    let mut room = file_length.saturating_mul(4);
    for (name, layout) in state_dict::layouts(pickle)? {
        let Some(dtype) = layout.dtype() else { continue };
        let values = storage(layout.key).ok_or_else(|| format!("the values of {name} are missing"))?;
        let data = copy(&layout, dtype.bitsize() / 8, values)
            .ok_or_else(|| format!("the tensor {name} reaches beyond its values"))?;
        room = room.checked_sub(data.len()).ok_or("its tensors share values many times over")?;
        found.insert(name.to_owned(), Tensor { dtype, shape: layout.shape, data });
    }
    Ok(found)
}

/// The values of a tensor in the order of its rows; none where they are not all in the storage.
fn copy<'a>(layout: &Layout<'_>, width: usize, storage: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let count = layout.shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size))?;
    let length = count.checked_mul(width)?;
    if count == 0 {
        return Some(Cow::Borrowed(&[]));
    }
    if layout.shape.len() != layout.strides.len() || length > storage.len() {
        return None;
    }
    let steps = layout.shape.iter().zip(&layout.strides);
    let last = steps
        .clone()
        .try_fold(layout.offset, |at, (size, stride)| at.checked_add((size - 1).checked_mul(*stride)?))?;
    let end = last.checked_add(1)?.checked_mul(width)?;
    if end > storage.len() {
        return None;
    }
    let mut dense = 1;
    let is_dense = steps.rev().all(|(size, stride)| {
        let fits = *stride == dense || *size == 1;
        dense *= size;
        fits
    });
    if is_dense {
        let from = layout.offset * width;
        return storage.get(from..from + length).map(Cow::Borrowed);
    }
    let mut data = Vec::with_capacity(length);
    let mut place = vec![0; layout.shape.len()];
    for _ in 0..count {
        let at = layout.offset
            + place.iter().zip(&layout.strides).map(|(place, stride)| place * stride).sum::<usize>();
        data.extend_from_slice(&storage[at * width..(at + 1) * width]);
        for (place, size) in place.iter_mut().zip(&layout.shape).rev() {
            *place += 1;
            if *place < *size {
                break;
            }
            *place = 0;
        }
    }
    Some(Cow::Owned(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(offset: usize, shape: &[usize], strides: &[usize]) -> Layout<'static> {
        Layout { key: "0", class: "FloatStorage", offset, shape: shape.to_vec(), strides: strides.to_vec() }
    }

    #[test]
    fn a_transposed_tensor_is_copied_row_by_row_and_a_dense_one_is_not_copied() {
        let storage = [0, 1, 2, 3, 4, 5];
        let dense = copy(&layout(2, &[2, 2], &[2, 1]), 1, &storage).unwrap();
        assert!(matches!(dense, Cow::Borrowed(&[2, 3, 4, 5])));
        assert_eq!(&*copy(&layout(0, &[2, 3], &[1, 2]), 1, &storage).unwrap(), [0, 2, 4, 1, 3, 5]);
        assert_eq!(copy(&layout(9, &[0, 3], &[3, 1]), 1, &storage).unwrap().len(), 0);
    }

    #[test]
    fn a_tensor_beyond_its_storage_is_none_however_large_its_numbers_are() {
        let storage = [0; 6];
        for (offset, shape, strides) in [
            (1, vec![2, 3], vec![3, 1]),
            (0, vec![usize::MAX, 2], vec![0, 0]),
            (0, vec![1 << 40], vec![0]),
            (usize::MAX, vec![1], vec![1]),
            (0, vec![2, 2], vec![usize::MAX, 1]),
            (0, vec![2, 2], vec![1]),
        ] {
            assert!(
                copy(&layout(offset, &shape, &strides), 1, &storage).is_none(),
                "{offset} {shape:?} {strides:?}"
            );
        }
    }
}
