//! The module `akin._akin`: the library and the command line for Python.
//!
//! It is thin. What Python makes of it, with names and defaults that people of Python know, is in `akin/`. Here are what must be
//! native: an index ([`index`], [`changes`], [`search`], [`hits`]), a table of an engine in its place ([`table`]), encoders, mining, and the command line. [`long`] has the calls that may
//! take long, [`errors`] the exceptions, [`values`] and [`arrays`] what goes in and out.

mod arrays;
mod bucket;
mod changes;
mod encoder;
mod errors;
mod fork;
mod hits;
mod index;
mod long;
mod mining;
mod search;
mod table;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;

/// Does what the arguments say, as the program `akin`, and gives its exit status. `program` runs this module as a program.
#[pyfunction]
fn main(py: Python<'_>, arguments: Vec<OsString>, program: PathBuf) -> u8 {
    py.detach(|| akin::commands::main_from(arguments, &program, &["-m", "akin"]))
}

/// The native half of Akin for Python.
#[pymodule]
fn _akin(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<index::Index>()?;
    module.add_class::<table::Table>()?;
    module.add_class::<encoder::Encoder>()?;
    module.add_class::<encoder::Scorer>()?;
    module.add_class::<hits::Hit>()?;
    module.add_class::<hits::Hits>()?;
    module.add_class::<hits::Passage>()?;
    module.add_function(wrap_pyfunction!(encoder::locate_model, module)?)?;
    module.add_function(wrap_pyfunction!(mining::pairs, module)?)?;
    module.add_function(wrap_pyfunction!(mining::duplicates, module)?)?;
    module.add_function(wrap_pyfunction!(mining::clusters, module)?)?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    Ok(())
}
