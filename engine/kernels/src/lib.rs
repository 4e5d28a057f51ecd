//! The inner loops of Akin: products of matrices, attention, normalisation, and products and distances of vectors and of
//! codes.
//!
//! Each kernel is written once over vectors of any width (`lanes`) and compiled for each instruction set; the portable
//! one is the reference that the tests compare the others with. An instruction set is a [`cpu::Isa`], which only
//! detection makes: safe code cannot run instructions that the processor lacks. All functions are safe to call; `unsafe`
//! is inside, each block with its reason.

pub mod activation;
pub mod aligned;
#[cfg(target_arch = "x86_64")]
mod amx;
pub mod attention;
pub mod codes;
pub mod cpu;
mod distance;
mod dot;
mod dot_i8;
mod embeddings;
pub mod gelu;
pub mod gemm;
mod gemm_tile;
pub mod gradient;
pub mod heads;
pub(crate) mod lanes;
pub mod layer_norm;
pub mod matmul;
pub mod memory;
mod prefetch;
pub mod rows;
pub mod shared;
mod similarity;
mod softmax;
pub mod user;
pub mod vecmath;

pub use distance::{manhattan_distance, squared_distance};
pub use dot::dot;
pub use dot_i8::{CODE_BLOCK, QuantizedQuery, ZERO_CODE};
pub use embeddings::Embeddings;
pub use prefetch::prefetch;
pub use similarity::Similarity;
