//! The inner loops, for each processor, each with a portable twin.

pub mod cpu;
mod dot;
mod prefetch;

pub use dot::dot;
pub use prefetch::prefetch;
