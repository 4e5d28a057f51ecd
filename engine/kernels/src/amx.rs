//! The matrix unit of Intel's processors since Sapphire Rapids (AMX): products of whole tiles.
//!
//! A *tile* is a register of 16 rows of 64 bytes. One instruction multiplies a tile of x, 16 rows of 16 words, with a
//! tile of w, 16 words of 16 columns, and adds what comes out to a tile of sums: 16,384 products of codes, for which
//! VNNI takes sixteen times 16 instructions. Two tiles of x times two of w make a *block* of sums, which leave
//! through memory: the unit does nothing but multiply.

#![allow(unsafe_code)]

use std::arch::asm;
use std::sync::LazyLock;

/// Rows of a tile, words in a row of one, and columns of one.
pub(super) const SIDE: usize = 16;
/// Rows and columns of a block.
pub(super) const BLOCK: usize = 2 * SIDE;

/// Whether this processor has tiles and multiplies codes and bf16 in them, and the system lets this process.
pub(super) fn is_available() -> bool {
    static AVAILABLE: LazyLock<bool> = LazyLock::new(|| {
        const BF16: u32 = 1 << 22;
        const TILES: u32 = 1 << 24;
        const INT8: u32 = 1 << 25;
        const ALL: u32 = BF16 | TILES | INT8;
        const FEATURES: u32 = 7;
        let most = std::arch::x86_64::__cpuid(0).eax;
        most >= FEATURES && std::arch::x86_64::__cpuid_count(FEATURES, 0).edx & ALL == ALL && system_permits()
    });
    *AVAILABLE
}

/// Asks the system for tiles, which it keeps for a process only once that has asked: they make a thread's state 8 KiB
/// larger.
fn system_permits() -> bool {
    #[cfg(target_os = "linux")]
    {
        const REQUEST_PERMISSION: libc::c_long = 0x1023;
        const TILE_DATA: libc::c_long = 18;
        // SAFETY: the call takes two numbers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0 }
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// What words hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    /// Four codes: x from 0 to 255, w from -127 to 127. Sums are whole numbers.
    Codes,
    /// Two bf16. Sums are floats.
    Bf16s,
}

/// The operands of a block: x, `[rows, depth]` words, and the first [`BLOCK`] columns of w, `[depth, w_stride]` words.
///
/// Of x, [`SIDE`] rows are read, or [`BLOCK`] where `rows` is more; `depth` is a multiple of [`SIDE`], and not 0.
#[derive(Clone, Copy)]
pub(super) struct TileOperands {
    pub words: Words,
    pub rows: usize,
    pub depth: usize,
    pub x: *const u32,
    pub w: *const u32,
    pub w_stride: usize,
}

/// The sums of a block, a word each.
#[repr(align(64))]
pub(super) struct Sums(pub [[u32; BLOCK]; BLOCK]);

impl Sums {
    pub fn zeroed() -> Self {
        Self([[0; BLOCK]; BLOCK])
    }
}

/// What the instruction that shapes tiles reads.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// The tiles of this thread, given back when it is dropped. What they hold and their shapes outlive a block of assembly:
/// no code of Rust's uses them.
pub(super) struct Tiles(());

impl Tiles {
    /// # Safety
    /// [`is_available`].
    pub unsafe fn new() -> Self {
        let mut shapes =
            Shapes { palette: 1, start: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        shapes.row_bytes[..8].fill(4 * SIDE as u16);
        shapes.rows[..8].fill(SIDE as u8);
        // SAFETY: the processor has tiles, and takes eight of 16 rows of 64 bytes; it reads the 64 bytes of `shapes`.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, preserves_flags, readonly))
        };
        Self(())
    }

    /// Writes the sums, `sums_stride` words from a row to the next.
    ///
    /// # Safety
    /// What `factors` say can be read, and as many rows of sums written as of x are read, [`BLOCK`] words each.
    #[inline(always)]
    pub unsafe fn multiply(&mut self, operands: TileOperands, sums: *mut u32, sums_stride: usize) {
        let TileOperands { words, rows, depth, x, w, w_stride } = operands;
        // A loop of two tiles by two, or of one by two. Tiles 0 to 3 are sums, 4 and 5 of x, 6 and 7 of w; a row of a tile is
        // 64 bytes.
        macro_rules! lower {
            ($multiply:literal) => {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "tilezero tmm2",
                    "tilezero tmm3",
                    "2:",
                    "tileloadd tmm6, [{w} + {w_line}]",
                    "tileloadd tmm4, [{x} + {x_line}]",
                    "tileloadd tmm7, [{w} + {w_line} + 64]",
                    concat!($multiply, " tmm0, tmm4, tmm6"),
                    "tileloadd tmm5, [{lower} + {x_line}]",
                    concat!($multiply, " tmm1, tmm4, tmm7"),
                    "add {x}, 64",
                    "add {lower}, 64",
                    "add {w}, {w_step}",
                    concat!($multiply, " tmm2, tmm5, tmm6"),
                    concat!($multiply, " tmm3, tmm5, tmm7"),
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{sums} + {sums_line}], tmm0",
                    "tilestored [{sums} + {sums_line} + 64], tmm1",
                    "tilestored [{lower_sums} + {sums_line}], tmm2",
                    "tilestored [{lower_sums} + {sums_line} + 64], tmm3",
                    x = inout(reg) x => _,
                    lower = inout(reg) x.wrapping_add(SIDE * depth) => _,
                    w = inout(reg) w => _,
                    steps = inout(reg) depth / SIDE => _,
                    x_line = in(reg) 4 * depth,
                    w_line = in(reg) 4 * w_stride,
                    w_step = in(reg) 4 * SIDE * w_stride,
                    sums = in(reg) sums,
                    lower_sums = in(reg) sums.wrapping_add(SIDE * sums_stride),
                    sums_line = in(reg) 4 * sums_stride,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack)
                )
            };
        }
        macro_rules! upper {
            ($multiply:literal) => {
                asm!(
                    "tilezero tmm0",
                    "tilezero tmm1",
                    "2:",
                    "tileloadd tmm6, [{w} + {w_line}]",
                    "tileloadd tmm4, [{x} + {x_line}]",
                    "tileloadd tmm7, [{w} + {w_line} + 64]",
                    concat!($multiply, " tmm0, tmm4, tmm6"),
                    concat!($multiply, " tmm1, tmm4, tmm7"),
                    "add {x}, 64",
                    "add {w}, {w_step}",
                    "dec {steps}",
                    "jnz 2b",
                    "tilestored [{sums} + {sums_line}], tmm0",
                    "tilestored [{sums} + {sums_line} + 64], tmm1",
                    x = inout(reg) x => _,
                    w = inout(reg) w => _,
                    steps = inout(reg) depth / SIDE => _,
                    x_line = in(reg) 4 * depth,
                    w_line = in(reg) 4 * w_stride,
                    w_step = in(reg) 4 * SIDE * w_stride,
                    sums = in(reg) sums,
                    sums_line = in(reg) 4 * sums_stride,
                    out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
                    options(nostack)
                )
            };
        }
        assert!(depth > 0 && depth.is_multiple_of(SIDE), "whole tiles");
        // SAFETY: there are tiles, or `new` would not have been called; what is read and written is the caller's promise.
        unsafe {
            match (words, rows > SIDE) {
                (Words::Codes, true) => lower!("tdpbusd"),
                (Words::Codes, false) => upper!("tdpbusd"),
                (Words::Bf16s, true) => lower!("tdpbf16ps"),
                (Words::Bf16s, false) => upper!("tdpbf16ps"),
            }
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the tiles were ours, and nobody reads them any more.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
}
