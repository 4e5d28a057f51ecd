//! The inner loops, for each processor, each with a portable twin.

pub mod aligned;
#[cfg(target_arch = "x86_64")]
mod amx;
pub mod attention;
#[cfg(target_arch = "x86_64")]
mod attention_tiles;
pub mod codes;
pub mod cpu;
mod dot;
mod dot_i8;
mod embeddings;
pub mod gelu;
pub mod gemm;
mod gemm_tile;
pub mod gradient;
pub(crate) mod lanes;
pub mod layer_norm;
pub mod matmul;
pub mod memory;
mod prefetch;
pub mod rows;
mod softmax;
pub mod vecmath;

pub use dot::dot;
pub use dot_i8::{CODE_BLOCK, Factors, ZERO_CODE};
pub use embeddings::Embeddings;
pub use prefetch::prefetch;
