//! What several tests of the engine need.

#![allow(dead_code)] // each test program uses its own part

pub mod model;
pub mod reference;
