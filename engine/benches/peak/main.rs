//! How fast can one core multiply, and how near does our product of matrices come?
//!
//! `cargo bench -p akin-engine --bench peak`. The limit is a loop of multiply-adds whose operands are all in
//! registers; the product is of matrices that fit the second-level cache, with the weights packed.

mod product;
mod registers;

use akin_engine::kernels::cpu;
use registers::Operands;

fn main() {
    println!("{:?}", cpu::isa());
    for operands in Operands::ALL {
        match registers::peak(operands) {
            Some(peak) => println!("{:8} registers alone {:8.1} G/s a core", operands.name(), peak / 1e9),
            None => println!("{:8} this processor has no instruction for it", operands.name()),
        }
    }
    let product = product::f32_product();
    println!("{:8} our product     {:8.1} G/s a core", "f32", product / 1e9);
    if let Some(peak) = registers::peak(Operands::F32) {
        println!("{:8} of the limit    {:8.3}", "", product / peak);
    }
}
