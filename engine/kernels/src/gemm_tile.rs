//! The register tile of a matrix product: a few rows of a times a few vectors of b's columns.

#![allow(unsafe_code)]

use std::ptr::null;

use super::lanes::Lanes;

/// What a word of x, four bytes of a row, gives with a word of w.
pub(super) trait Product: Copy {
    /// A vector of sums.
    type Sums<L: Lanes>: Copy;
    /// Whether sums are of codes, and become what these stand for by [`Finish::codes`].
    const OF_CODES: bool = false;
    /// Rows of the tile.
    fn rows<L: Lanes>() -> usize {
        L::TILE_ROWS
    }
    /// Whether [`Product::add_two`] is better than twice [`Product::add`].
    fn in_pairs<L: Lanes>() -> bool {
        false
    }
    /// Sums of nothing.
    fn zero<L: Lanes>(l: L) -> Self::Sums<L>;
    /// The sums with the products of two vectors of words.
    fn add<L: Lanes>(l: L, x: L::W, w: L::W, sums: Self::Sums<L>) -> Self::Sums<L>;
    /// The same with two words of each.
    #[inline(always)]
    fn add_two<L: Lanes>(l: L, x: [L::W; 2], w: [L::W; 2], sums: Self::Sums<L>) -> Self::Sums<L> {
        Self::add(l, x[1], w[1], Self::add(l, x[0], w[0], sums))
    }
    /// The sums as floats.
    fn floats<L: Lanes>(l: L, sums: Self::Sums<L>) -> L::V;
    /// The same of sums that come from memory.
    #[cfg(target_arch = "x86_64")]
    fn floats_of_words<L: Lanes>(l: L, sums: L::W) -> L::V;
}

/// A word is a float.
#[derive(Clone, Copy)]
pub(super) struct Floats;

/// A word is two bf16.
#[derive(Clone, Copy)]
pub(super) struct Bf16s;

/// A word is [`Lanes::CODES`] codes.
#[derive(Clone, Copy)]
pub(super) struct Codes;

impl Product for Floats {
    type Sums<L: Lanes> = L::V;
    #[inline(always)]
    fn zero<L: Lanes>(l: L) -> L::V {
        l.splat(0.0)
    }
    #[inline(always)]
    fn add<L: Lanes>(l: L, x: L::W, w: L::W, sums: L::V) -> L::V {
        l.mul_add(l.as_floats(x), l.as_floats(w), sums)
    }
    #[inline(always)]
    fn floats<L: Lanes>(_: L, sums: L::V) -> L::V {
        sums
    }
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn floats_of_words<L: Lanes>(l: L, sums: L::W) -> L::V {
        l.as_floats(sums)
    }
}

impl Product for Bf16s {
    type Sums<L: Lanes> = L::V;
    #[inline(always)]
    fn zero<L: Lanes>(l: L) -> L::V {
        l.splat(0.0)
    }
    #[inline(always)]
    fn add<L: Lanes>(l: L, x: L::W, w: L::W, sums: L::V) -> L::V {
        l.multiply_bf16(x, w, sums)
    }
    #[inline(always)]
    fn floats<L: Lanes>(_: L, sums: L::V) -> L::V {
        sums
    }
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn floats_of_words<L: Lanes>(l: L, sums: L::W) -> L::V {
        l.as_floats(sums)
    }
}

impl Product for Codes {
    type Sums<L: Lanes> = L::W;
    const OF_CODES: bool = true;
    #[inline(always)]
    fn rows<L: Lanes>() -> usize {
        L::CODE_ROWS
    }
    #[inline(always)]
    fn in_pairs<L: Lanes>() -> bool {
        L::CODES_IN_PAIRS
    }
    #[inline(always)]
    fn zero<L: Lanes>(l: L) -> L::W {
        l.splat_word(0)
    }
    #[inline(always)]
    fn add<L: Lanes>(l: L, x: L::W, w: L::W, sums: L::W) -> L::W {
        l.multiply_codes(x, w, sums)
    }
    #[inline(always)]
    fn add_two<L: Lanes>(l: L, x: [L::W; 2], w: [L::W; 2], sums: L::W) -> L::W {
        l.multiply_two_words(x, w, sums)
    }
    #[inline(always)]
    fn floats<L: Lanes>(l: L, sums: L::W) -> L::V {
        l.to_floats(sums)
    }
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn floats_of_words<L: Lanes>(l: L, sums: L::W) -> L::V {
        l.to_floats(sums)
    }
}

/// Where the sums of a tile go, and what is done to them on the way.
///
/// Null where there is nothing, and not an `Option`: compilers read what a `None` leaves uninitialised before they
/// ask whether it is one, which is sound but hides real errors from memory checkers.
#[derive(Clone, Copy)]
pub(super) struct Finish {
    /// The upper left corner.
    pub c: *mut f32,
    /// Floats from one row to the next.
    pub ldc: usize,
    /// Columns that are written; more may be computed.
    pub columns: usize,
    /// A vector for each of the tile's, added to every row; or null.
    pub bias: *const f32,
    /// Whether what is in c is added.
    pub accumulate: bool,
    /// A factor for each row; or null.
    pub row_scale: *const f32,
    /// What codes stand for, where they are multiplied.
    pub codes: Dequantize,
}

impl Finish {
    /// The sums as they are.
    pub fn store(c: *mut f32, ldc: usize, columns: usize) -> Self {
        let none = Dequantize { rows: null(), scales: null(), sums: null() };
        Self { c, ldc, columns, bias: null(), accumulate: false, row_scale: null(), codes: none }
    }

    /// What the sums of a row's columns from `column` on stand for, with the bias.
    ///
    /// # Safety
    /// Bias and codes, where they are not null, have a value for that row and for those columns.
    #[inline(always)]
    pub unsafe fn value<L: Lanes, P: Product>(&self, l: L, row: usize, column: usize, sum: L::V) -> L::V {
        // SAFETY: the caller's promise.
        unsafe {
            let sum = match self.row_scale.is_null() {
                false => l.mul(sum, l.splat(*self.row_scale.add(row))),
                true => sum,
            };
            let columns = self.of_columns::<L, P>(l, column);
            columns.value::<P>(l, self.of_row::<L, P>(l, row), sum)
        }
    }

    /// What sums of the columns from `column` on become values by.
    ///
    /// # Safety
    /// As for [`Finish::value`].
    #[inline(always)]
    pub unsafe fn of_columns<L: Lanes, P: Product>(&self, l: L, column: usize) -> OfColumns<L> {
        let zero = l.splat(0.0);
        // SAFETY: the caller's promise.
        unsafe {
            let bias = if self.bias.is_null() { zero } else { l.load(self.bias.add(column)) };
            if !P::OF_CODES {
                return OfColumns { bias, scales: zero, sums: zero };
            }
            OfColumns {
                bias,
                scales: l.load(self.codes.scales.add(column)),
                sums: l.load(self.codes.sums.add(column)),
            }
        }
    }

    /// What sums of a row become values by: what a code stands for, and what code 0 does.
    ///
    /// # Safety
    /// As for [`Finish::value`].
    #[inline(always)]
    pub unsafe fn of_row<L: Lanes, P: Product>(&self, l: L, row: usize) -> [L::V; 2] {
        if !P::OF_CODES {
            return [l.splat(0.0); 2];
        }
        // SAFETY: the caller's promise.
        let [scale, lowest] = unsafe { *self.codes.rows.add(row) };
        [l.splat(scale), l.splat(lowest - L::LEAST_CODE as f32 * scale)]
    }

    /// Writes the first `valid` of such values, or adds them to what is there.
    ///
    /// # Safety
    /// They can be written.
    #[inline(always)]
    pub unsafe fn put<L: Lanes>(&self, l: L, row: usize, column: usize, valid: usize, value: L::V) {
        // SAFETY: the caller's promise.
        unsafe {
            let c = self.c.add(row * self.ldc + column);
            if valid == L::LEN {
                l.store(c, if self.accumulate { l.add(value, l.load(c)) } else { value });
            } else {
                let before = if self.accumulate { l.load_first(c, valid, 0.0) } else { l.splat(0.0) };
                l.store_first(c, if self.accumulate { l.add(value, before) } else { value }, valid);
            }
        }
    }
}

/// What sums of a vector of columns become values by: their bias and, of codes, what [`Dequantize`] has for them.
#[derive(Clone, Copy)]
pub(super) struct OfColumns<L: Lanes> {
    bias: L::V,
    scales: L::V,
    sums: L::V,
}

impl<L: Lanes> OfColumns<L> {
    /// What the sums of a row stand for, with the bias.
    #[inline(always)]
    pub fn value<P: Product>(self, l: L, [scale, zero]: [L::V; 2], sum: L::V) -> L::V {
        if !P::OF_CODES {
            return l.add(sum, self.bias);
        }
        let shift = l.mul_add(zero, self.sums, self.bias);
        l.mul_add(sum, l.mul(scale, self.scales), shift)
    }
}

/// Turns a sum of products of codes into what it stands for: x = scale * (code - least code) + lowest for each row, and
/// w = scale * code for each column.
#[derive(Clone, Copy)]
pub(super) struct Dequantize {
    /// (scale, lowest) of each row.
    pub rows: *const [f32; 2],
    /// The scale of each column.
    pub scales: *const f32,
    /// The sum of each column of w: what a row's lowest value is multiplied by.
    pub sums: *const f32,
}

/// Words in a cache line.
pub(super) const LINE: usize = 16;

/// What a tile asks the memory for: every step of depth, a place `step` words further.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    pub from: *const u32,
    pub step: usize,
}

impl Ahead {
    /// Nothing but what is there already.
    pub fn stay(at: *const u32) -> Self {
        Self { from: at, step: 0 }
    }

    #[inline(always)]
    fn at(self, step: usize) -> *const u32 {
        self.from.wrapping_add(step * self.step)
    }
}

/// Cuts `rows` into tiles of nearly equal height, at most `most`: (first row, height) of each.
///
/// A tile of one row leaves most of the processor idle; two of half the height do not.
#[inline(always)]
pub(super) fn row_tiles(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let tiles = rows.div_ceil(most);
    let (height, taller) = (rows.checked_div(tiles).unwrap_or(0), rows.checked_rem(tiles).unwrap_or(0));
    (0..tiles).map(move |t| (t * height + t.min(taller), height + usize::from(t < taller)))
}

/// c = a b, then `finish`: a is `[rows, depth]`, b `[depth, vectors * LEN]` words, row-major with `lda` and
/// `ldb` words from one row to the next. What `ahead` says is asked for meanwhile.
///
/// # Safety
/// All of a and b can be read, and what `finish` says can be written; its codes are given where codes are multiplied; `rows <= P::rows()` and
/// `vectors <= TILE_VECTORS`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn multiply_tile<L: Lanes, P: Product>(
    l: L,
    rows: usize,
    vectors: usize,
    depth: usize,
    a: *const u32,
    lda: usize,
    b: *const u32,
    ldb: usize,
    ahead: Ahead,
    finish: Finish,
) {
    debug_assert!(rows <= P::rows::<L>() && vectors <= L::TILE_VECTORS);
    // One compiled loop for every shape: the sums must have names known to the compiler to stay in
    // registers. Shapes that an instruction set never asks for are left out by the guards.
    macro_rules! shapes {
        ($($r:literal)*) => {
            match (rows, vectors) {
                $(
                    // SAFETY: the caller's promises are those of `tile`.
                    ($r, 1) if $r <= P::rows::<L>() => unsafe {
                        tile::<L, P, $r, 1>(l, depth, a, lda, b, ldb, ahead, finish)
                    },
                    // SAFETY: as above.
                    ($r, 2) if $r <= P::rows::<L>() && L::TILE_VECTORS >= 2 => unsafe {
                        tile::<L, P, $r, 2>(l, depth, a, lda, b, ldb, ahead, finish)
                    },
                    // SAFETY: as above.
                    ($r, 3) if $r <= P::rows::<L>() && L::TILE_VECTORS >= 3 => unsafe {
                        tile::<L, P, $r, 3>(l, depth, a, lda, b, ldb, ahead, finish)
                    },
                )*
                _ => {}
            }
        };
    }
    shapes!(1 2 3 4 5 6 7 8)
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn tile<L: Lanes, P: Product, const R: usize, const N: usize>(
    l: L,
    depth: usize,
    a: *const u32,
    lda: usize,
    b: *const u32,
    ldb: usize,
    ahead: Ahead,
    finish: Finish,
) {
    let mut sums = [[P::zero(l); N]; R];
    let paired = if P::in_pairs::<L>() { depth & !1 } else { 0 };
    for k in (0..paired).step_by(2) {
        l.prefetch(ahead.at(k));
        l.prefetch(ahead.at(k + 1));
        // SAFETY: rows k and k + 1 of b and columns k and k + 1 of a exist, which the caller promises.
        unsafe {
            let b = b.add(k * ldb);
            let mut columns = [[l.load_words(b), l.load_words(b.add(ldb))]; N];
            for (j, column) in columns.iter_mut().enumerate().skip(1) {
                let b = b.add(j * L::LEN);
                *column = [l.load_words(b), l.load_words(b.add(ldb))];
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let a = a.add(i * lda + k);
                let x = [l.splat_word(*a), l.splat_word(*a.add(1))];
                for (sum, &column) in sums.iter_mut().zip(&columns) {
                    *sum = P::add_two(l, x, column, *sum);
                }
            }
        }
    }
    for k in paired..depth {
        l.prefetch(ahead.at(k));
        // SAFETY: row k of b and column k of a exist, which the caller promises.
        unsafe {
            let b = b.add(k * ldb);
            let mut columns = [l.load_words(b); N];
            for (j, column) in columns.iter_mut().enumerate().skip(1) {
                *column = l.load_words(b.add(j * L::LEN));
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let x = l.splat_word(*a.add(i * lda + k));
                for (sum, &column) in sums.iter_mut().zip(&columns) {
                    *sum = P::add(l, x, column, *sum);
                }
            }
        }
    }
    for (i, sums) in sums.iter().enumerate() {
        for (j, &sum) in sums.iter().enumerate() {
            let sum = P::floats(l, sum);
            let valid = finish.columns.saturating_sub(j * L::LEN).min(L::LEN);
            if valid == 0 {
                break;
            }
            // SAFETY: row i of c has `columns` floats, of which `valid` remain from here on; bias, scales
            // and sums have a value for every column and row.
            unsafe { finish.put::<L>(l, i, j * L::LEN, valid, finish.value::<L, P>(l, i, j * L::LEN, sum)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::row_tiles;

    #[test]
    fn tiles_of_rows_cover_every_row_once_and_are_nearly_equal() {
        for rows in 0..200 {
            for most in 1..9 {
                let tiles: Vec<_> = row_tiles(rows, most).collect();
                let mut next = 0;
                for &(row, height) in &tiles {
                    assert_eq!(row, next);
                    assert!(height >= 1 && height <= most);
                    next += height;
                }
                assert_eq!(next, rows);
                let heights = || tiles.iter().map(|t| t.1);
                assert!(heights().max().unwrap_or(0) - heights().min().unwrap_or(0) <= 1);
            }
        }
    }
}
