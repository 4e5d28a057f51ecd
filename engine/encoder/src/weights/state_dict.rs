//! What a pickle of a network says of each tensor: where its numbers are, and how they lie.

use std::collections::HashMap;

use safetensors::Dtype;

use super::pickle::{Pickle, Value};

/// How the numbers of a tensor lie in a storage.
#[derive(Debug, Clone)]
pub(super) struct Layout<'a> {
    /// The key of the storage.
    pub key: &'a str,
    /// The class of the storage, which names the type of its numbers.
    pub class: &'a str,
    /// The first number.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// How far the next number is along each dimension.
    pub strides: Vec<usize>,
}

impl Layout<'_> {
    /// The type of the numbers; none for those that no network is of.
    pub(super) fn dtype(&self) -> Option<Dtype> {
        Some(match self.class {
            "FloatStorage" => Dtype::F32,
            "HalfStorage" => Dtype::F16,
            "BFloat16Storage" => Dtype::BF16,
            "DoubleStorage" => Dtype::F64,
            "LongStorage" => Dtype::I64,
            "IntStorage" => Dtype::I32,
            "ShortStorage" => Dtype::I16,
            "CharStorage" => Dtype::I8,
            "ByteStorage" => Dtype::U8,
            _ => return None,
        })
    }
}

/// The tensors by name: of the pickle itself, or of what it has under `state_dict`.
pub(super) fn layouts<'a>(pickle: &Pickle<'a>) -> Result<Vec<(&'a str, Layout<'a>)>, String> {
    let Value::Dict(entries) = pickle.root() else {
        return Err("it holds no tensors by name, which the weights of a network are".into());
    };
    let nested = entries.iter().find_map(|(key, value)| match (pickle.value(*key), pickle.value(*value)) {
        (Value::Text("state_dict"), Value::Dict(nested)) => Some(nested),
        _ => None,
    });
    let entries = nested.unwrap_or(entries);
    let mut found = Vec::new();
    for (key, value) in entries {
        if let (Value::Text(name), Some(layout)) = (pickle.value(*key), layout(pickle, *value)) {
            found.push((*name, layout));
        }
    }
    Ok(found)
}

/// Bytes of a number of each storage that a pickle names.
pub(super) fn storage_widths<'a>(pickle: &Pickle<'a>) -> HashMap<&'a str, usize> {
    let mut widths = HashMap::new();
    for value in pickle.values() {
        if let Value::Storage(parts) = value
            && let Some((key, class)) = storage(pickle, *parts)
        {
            let layout = Layout { key, class, offset: 0, shape: Vec::new(), strides: Vec::new() };
            // Types that no network is of have a byte for a truth value, and eight for a complex number.
            let width = layout
                .dtype()
                .map_or(if class == "BoolStorage" { 1 } else { 8 }, |dtype| dtype.bitsize() / 8);
            widths.insert(key, width);
        }
    }
    widths
}

/// A call that makes a tensor of a storage, as torch writes it.
fn layout<'a>(pickle: &Pickle<'a>, value: usize) -> Option<Layout<'a>> {
    let Value::Call { function, arguments } = pickle.value(value) else { return None };
    let (Value::Global(module, name), Value::Tuple(arguments)) =
        (pickle.value(*function), pickle.value(*arguments))
    else {
        return None;
    };
    match (*module, *name, arguments.as_slice()) {
        // The tensor that a parameter wraps cannot be a parameter: no chain of them is followed.
        ("torch._utils", "_rebuild_parameter", [tensor, ..]) => match pickle.value(*tensor) {
            Value::Call { function, .. }
                if matches!(pickle.value(*function), Value::Global(_, "_rebuild_parameter")) =>
            {
                None
            }
            _ => layout(pickle, *tensor),
        },
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor", [from, offset, shape, strides, ..]) => {
            let Value::Storage(parts) = pickle.value(*from) else { return None };
            let (key, class) = storage(pickle, *parts)?;
            let (shape, strides) = (sizes(pickle, *shape)?, sizes(pickle, *strides)?);
            Some(Layout { key, class, offset: size(pickle, *offset)?, shape, strides })
        }
        _ => None,
    }
}

/// Key and class of `("storage", class, key, device, count)`.
fn storage<'a>(pickle: &Pickle<'a>, parts: usize) -> Option<(&'a str, &'a str)> {
    let Value::Tuple(parts) = pickle.value(parts) else { return None };
    let [kind, class, key, ..] = parts.as_slice() else { return None };
    match (pickle.value(*kind), pickle.value(*class), pickle.value(*key)) {
        (Value::Text("storage"), Value::Global(_, class), Value::Text(key)) => Some((key, class)),
        _ => None,
    }
}

fn sizes(pickle: &Pickle<'_>, value: usize) -> Option<Vec<usize>> {
    match pickle.value(value) {
        Value::Tuple(parts) | Value::List(parts) => parts.iter().map(|part| size(pickle, *part)).collect(),
        // A `torch.Size`, which is made of a tuple.
        Value::Call { arguments, .. } => match pickle.value(*arguments) {
            Value::Tuple(parts) => match parts.as_slice() {
                [sizes] => match pickle.value(*sizes) {
                    Value::Tuple(parts) => parts.iter().map(|part| size(pickle, *part)).collect(),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn size(pickle: &Pickle<'_>, value: usize) -> Option<usize> {
    match pickle.value(value) {
        Value::Int(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}
