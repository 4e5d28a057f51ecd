//! The inner loops, for each processor, each with a portable twin.

pub mod cpu;
mod dot;

pub use dot::dot;
