//! How fast can one core multiply, and how near does our product of matrices come?
//!
//! `cargo bench -p akin-kernels --bench peak`. The limit is a loop of multiply-adds whose operands are all in
//! registers; the product is of matrices that fit the second-level cache, with the weights packed.

mod product;
mod registers;

use akin_kernels::cpu;
use akin_kernels::rows::Precision;
use registers::Operands;

fn main() {
    println!("{:?}", cpu::isa());
    for operands in Operands::ALL {
        match registers::peak(operands) {
            Some(peak) => println!("{:8} registers alone {:8.1} G/s a core", operands.name(), peak / 1e9),
            None => println!("{:8} this processor has no instruction for it", operands.name()),
        }
    }
    let isa = cpu::isa();
    for (operands, precision) in [
        (Operands::F32, Precision::F32),
        (Operands::Bf16, Precision::Bf16),
        (Operands::U8I8, Precision::Int8),
    ] {
        if precision == Precision::Bf16 && !isa.multiplies_bf16() {
            continue;
        }
        let product = product::product(precision);
        print!("{:8} our product     {:8.1} G/s a core", operands.name(), product / 1e9);
        match registers::peak(operands) {
            Some(peak) => println!(", {:.3} of the limit", product / peak),
            None => println!(),
        }
    }
}
