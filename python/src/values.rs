//! Metadata between Python and JSON.

use akin_index::Metadata;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use serde_json::{Map, Number, Value};

use crate::errors::Failure;

/// Lists and mappings in one another: no more than JSON is read with.
const DEEPEST: usize = 100;

/// The fields of a mapping, without those that are named.
pub fn fields(mapping: &Bound<'_, PyMapping>, without: &[&str]) -> PyResult<Metadata> {
    let mut fields = Map::new();
    for item in mapping.items()?.iter() {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
        let key = text(&key, "the name of a field")?;
        if !without.contains(&key.as_str()) {
            let value = value_of(&value, &key, 0)?;
            fields.insert(key, value);
        }
    }
    Ok(fields)
}

/// A text. One with halves of characters (surrogates) is refused in a sentence.
pub fn text(object: &Bound<'_, PyAny>, what: &str) -> PyResult<String> {
    let text = object.cast::<PyString>().map_err(|_| {
        let found =
            object.get_type().name().map_or_else(|_| "something else".into(), |name| name.to_string());
        PyTypeError::new_err(format!("{what} must be a str, and is of type {found}"))
    })?;
    let text = text.to_cow().map_err(|_| {
        Failure::invalid(format!(
            "{what} has halves of characters (surrogates), which no file can hold: \
             text.encode(\"utf-16\", \"surrogatepass\").decode(\"utf-16\", \"replace\") mends it"
        ))
    })?;
    Ok(text.into_owned())
}

fn value_of(object: &Bound<'_, PyAny>, field: &str, depth: usize) -> PyResult<Value> {
    if depth > DEEPEST {
        return Err(Failure::invalid(format!(
            "the field {field} is deeper than {DEEPEST} lists or mappings"
        ))
        .into());
    }
    if object.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = object.cast::<PyBool>() {
        return Ok(flag.is_true().into());
    }
    if object.cast::<PyString>().is_ok() {
        return Ok(text(object, &format!("the field {field}"))?.into());
    }
    if object.cast::<PyInt>().is_ok() {
        return integer(object, field);
    }
    if let Ok(float) = object.cast::<PyFloat>() {
        // A table has NaN where a value is missing.
        return Ok(Number::from_f64(float.value()).map_or(Value::Null, Value::Number));
    }
    if object.cast::<PyList>().is_ok() || object.cast::<PyTuple>().is_ok() {
        let values = object.try_iter()?.map(|value| value_of(&value?, field, depth + 1));
        return Ok(Value::Array(values.collect::<PyResult<_>>()?));
    }
    if let Ok(mapping) = object.cast::<PyMapping>() {
        let mut map = Map::new();
        for item in mapping.items()?.iter() {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            map.insert(key.str()?.to_cow()?.into_owned(), value_of(&value, field, depth + 1)?);
        }
        return Ok(Value::Object(map));
    }
    // A date or a time, a number or an array of NumPy, a path.
    for (method, what) in [("isoformat", true), ("tolist", false), ("__fspath__", true)] {
        if object.hasattr(method)? {
            let plain = object.call_method0(method)?;
            return match what {
                true => Ok(Value::String(text(&plain, &format!("the field {field}"))?)),
                false => value_of(&plain, field, depth + 1),
            };
        }
    }
    let found = object.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "the field {field} has a value of type {found}, which is not kept: give a str, a number, a bool, None, a list or a dict"
    )))
}

fn integer(object: &Bound<'_, PyAny>, field: &str) -> PyResult<Value> {
    if let Ok(small) = object.extract::<i64>() {
        return Ok(small.into());
    }
    match object.extract::<u64>() {
        Ok(large) => Ok(large.into()),
        Err(_) => Err(Failure::invalid(format!(
            "the field {field} has an integer beyond 64 bits: give it as a str"
        ))
        .into()),
    }
}

/// Fields as a dict.
pub fn dict<'py>(py: Python<'py>, fields: &Metadata) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, value) in fields {
        dict.set_item(name, object(py, value)?)?;
    }
    Ok(dict)
}

/// A value of JSON as Python has it.
pub fn object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(flag) => PyBool::new(py, *flag).to_owned().into_any(),
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(small), _) => small.into_pyobject(py)?.into_any(),
            (None, Some(large)) => large.into_pyobject(py)?.into_any(),
            _ => number.as_f64().unwrap_or(f64::NAN).into_pyobject(py)?.into_any(),
        },
        Value::Array(values) => {
            let objects = values.iter().map(|value| object(py, value)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, objects)?.into_any()
        }
        Value::Object(fields) => dict(py, fields)?.into_any(),
    })
}
