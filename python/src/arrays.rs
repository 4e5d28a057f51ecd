//! Arrays of NumPy and embeddings.

use akin_index::Embeddings;
use numpy::ndarray::Array2;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::errors::Failure;

/// Embeddings as an array of shape (rows, dimension), without a copy.
pub fn matrix(py: Python<'_>, embeddings: Embeddings) -> PyResult<Bound<'_, PyArray2<f32>>> {
    let (rows, dimension) = (embeddings.rows(), embeddings.dimension());
    let values = Array2::from_shape_vec((rows, dimension), embeddings.into_values());
    let values = values.map_err(|error| Failure::new("Error", error.to_string()))?;
    Ok(values.into_pyarray(py))
}

/// Scores as an array of shape (rows,).
pub fn vector(py: Python<'_>, values: Vec<f32>) -> Bound<'_, PyArray1<f32>> {
    values.into_pyarray(py)
}

/// The rows of an array of float32, which the Python side has made of whatever was given.
pub fn embeddings(array: &PyReadonlyArray2<'_, f32>, what: &str) -> PyResult<Embeddings> {
    let dimension = array.shape()[1];
    let values = match array.as_slice() {
        Ok(values) => values.to_vec(),
        Err(_) => array.as_array().iter().copied().collect(),
    };
    if dimension > 0
        && let Some(at) = values.iter().position(|value| !value.is_finite())
    {
        let row = at / dimension;
        return Err(
            Failure::invalid(format!("row {row} of {what} has a value that is no finite number")).into()
        );
    }
    Ok(Embeddings::from_values(dimension.max(1), values))
}
