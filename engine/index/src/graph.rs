//! A navigable small-world graph (HNSW: Malkov & Yashunin 2018) in flat arrays: what a segment keeps
//! and a query walks.

use std::collections::HashMap;

use super::codes::Codes;
use super::pages::Pages;
use crate::Embeddings;

/// Layers above the base that a graph can have.
const MAX_LAYERS: usize = 16;
/// Neighbors of one point on one layer, at most.
const MAX_WIDTH: usize = 512;

/// A graph has fewer points.
pub(super) const POINT_LIMIT: usize = 1 << 31;

/// Ends a list of neighbors that is shorter than its place.
pub(super) const NONE: u32 = u32::MAX;

/// The HNSW graph of n points, ready to be walked: [`build`](Self::build) makes it,
/// [`search`](Self::search) walks it, and [`to_parts`](Self::to_parts) are its bytes.
///
/// Its points have an order of their own: those of the highest layer first, and near ones near each other.
/// It holds codes of the embeddings it was built from, and whoever searches it brings the embeddings.
#[derive(Debug, Clone, PartialEq)]
pub struct FrozenGraph {
    /// Which row each point is. Each search begins at the first.
    pub(super) order: Vec<u32>,
    /// The base layer, which all points are in.
    pub(super) base: Adjacency,
    /// Layers 1, 2, ...: each the first few points of the one below.
    pub(super) upper: Vec<Adjacency>,
    /// The codes of the points. They are made whenever a graph is read, and never stored.
    pub(super) codes: Codes,
}

/// Lists of neighbors, each at a place of its own of one width: `[points, width]`, nearest first,
/// ended by [`NONE`] where a list is shorter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Adjacency {
    pub(super) width: usize,
    pub(super) targets: Pages<u32>,
}

impl Adjacency {
    pub(super) fn new(width: usize, points: usize) -> Self {
        Self { width, targets: Pages::filled(NONE, points * width) }
    }

    pub(super) fn points(&self) -> usize {
        self.targets.len() / self.width
    }

    /// The whole place of `point`, with its padding.
    #[inline]
    pub(super) fn place(&self, point: u32) -> &[u32] {
        &self.targets[point as usize * self.width..][..self.width]
    }

    /// The neighbors of `point`.
    #[inline]
    pub(super) fn of(&self, point: u32) -> impl Iterator<Item = u32> {
        self.place(point).iter().copied().take_while(|target| *target != NONE)
    }

    fn edges(&self) -> usize {
        self.targets.iter().filter(|target| **target != NONE).count()
    }

    /// Reads `[points, width]` from bytes of exactly that size.
    fn from_bytes(part: &str, bytes: &[u8], points: usize, width: usize) -> Result<Self, String> {
        require_integers(part, bytes, points.checked_mul(width))?;
        let mut targets = Pages::zeroed(points * width);
        targets.iter_mut().zip(words(bytes)).for_each(|(target, word)| *target = word);
        for (point, place) in targets.chunks_exact(width).enumerate() {
            let listed = place.iter().take_while(|target| **target != NONE).count();
            if let Some(target) = place[..listed].iter().find(|target| **target as usize >= points) {
                return Err(format!("{part}: point {point} has a neighbor {target} of {points}"));
            }
            if place[listed..].iter().any(|target| *target != NONE) {
                return Err(format!("{part}: the list of point {point} goes on after its end"));
            }
        }
        Ok(Self { width, targets })
    }
}

impl FrozenGraph {
    /// How many points it has, the rows of the embeddings it was built from.
    pub fn points(&self) -> usize {
        self.order.len()
    }

    /// How many neighbors its points have, all layers taken together.
    pub fn edges(&self) -> usize {
        self.base.edges() + self.upper.iter().map(Adjacency::edges).sum::<usize>()
    }

    /// Its bytes, as named arrays of little-endian u32:
    ///
    /// - `graph`: points, width of the base lists, width of the upper lists, number of upper layers,
    ///   then the points of each of them from layer 1 up;
    /// - `graph.order`: the row of each point, `[points]`;
    /// - `graph.base`: the base lists, `[points, width]`, 2^32 - 1 after the end of a list;
    /// - `graph.upper`: the lists of the upper layers, layer after layer.
    pub fn to_parts(&self) -> Vec<(&'static str, Vec<u8>)> {
        let upper_width = self.upper.first().map_or(1, |layer| layer.width);
        let mut header =
            vec![self.points() as u32, self.base.width as u32, upper_width as u32, self.upper.len() as u32];
        header.extend(self.upper.iter().map(|layer| layer.points() as u32));
        vec![
            (HEADER, bytes(&header)),
            (ORDER, bytes(&self.order)),
            (BASE, bytes(&self.base.targets)),
            (UPPER, self.upper.iter().flat_map(|layer| bytes(&layer.targets)).collect()),
        ]
    }

    /// Reads the arrays that [`to_parts`](Self::to_parts) wrote, of the graph of
    /// `vectors`. Parts of other names are not looked at. Whatever the bytes are, it takes no more memory
    /// than they and the codes do, and the graph that comes back can be walked without a panic.
    ///
    /// # Errors
    /// What is missing or wrong, in words.
    pub fn from_parts(parts: &HashMap<String, Vec<u8>>, vectors: &Embeddings) -> Result<Self, String> {
        let rows = vectors.rows();
        let part = |name: &str| {
            parts.get(name).map(Vec::as_slice).ok_or_else(|| format!("{name}: the part is missing"))
        };
        let header = integers(HEADER, part(HEADER)?, None)?;
        let [points, base_width, upper_width, layers, ref counts @ ..] = header[..] else {
            return Err(format!("{HEADER}: {} numbers are too few", header.len()));
        };
        if points as usize != rows || rows >= POINT_LIMIT {
            return Err(format!("{HEADER}: {points} points for {rows} rows"));
        }
        let (base_width, upper_width) = (base_width as usize, upper_width as usize);
        if !(1..=MAX_WIDTH).contains(&base_width) || !(1..=MAX_WIDTH).contains(&upper_width) {
            return Err(format!("{HEADER}: lists of {base_width} and {upper_width} neighbors"));
        }
        if counts.len() != layers as usize || counts.len() > MAX_LAYERS {
            return Err(format!("{HEADER}: {layers} upper layers, {} sizes", counts.len()));
        }
        let order = integers(ORDER, part(ORDER)?, Some(rows))?;
        require_permutation(&order)?;
        let base = Adjacency::from_bytes(BASE, part(BASE)?, rows, base_width)?;
        let upper = read_upper(part(UPPER)?, counts, rows, upper_width)?;
        let codes = Codes::of(vectors, &order);
        Ok(Self { order, base, upper, codes })
    }
}

const HEADER: &str = "graph";
const ORDER: &str = "graph.order";
const BASE: &str = "graph.base";
const UPPER: &str = "graph.upper";

/// Each row is a point, and one only.
fn require_permutation(order: &[u32]) -> Result<(), String> {
    let mut seen = vec![false; order.len()];
    for (point, row) in order.iter().enumerate() {
        match seen.get_mut(*row as usize) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => return Err(format!("{ORDER}: point {point} is row {row}, as one before it is")),
            None => return Err(format!("{ORDER}: point {point} is row {row} of {}", order.len())),
        }
    }
    Ok(())
}

/// Reads layers of `counts` points each, whose lists have `width` neighbors.
fn read_upper(
    mut lists: &[u8],
    counts: &[u32],
    points: usize,
    width: usize,
) -> Result<Vec<Adjacency>, String> {
    let mut upper: Vec<Adjacency> = Vec::with_capacity(counts.len());
    for (above, count) in counts.iter().enumerate() {
        let count = *count as usize;
        if count == 0 || count > upper.last().map_or(points, Adjacency::points) {
            return Err(format!("{HEADER}: layer {} has {count} points of {points}", above + 1));
        }
        let bytes;
        (bytes, lists) = count
            .checked_mul(4 * width)
            .and_then(|length| lists.split_at_checked(length))
            .ok_or_else(|| format!("{UPPER}: too short"))?;
        upper.push(Adjacency::from_bytes(UPPER, bytes, count, width)?);
    }
    if !lists.is_empty() {
        return Err(format!("{UPPER}: bytes after the last layer"));
    }
    Ok(upper)
}

/// Refuses bytes that are not integers, or not `expected` of them where that is known.
fn require_integers(part: &str, bytes: &[u8], expected: Option<usize>) -> Result<(), String> {
    if !bytes.len().is_multiple_of(4) || expected.is_some_and(|expected| expected != bytes.len() / 4) {
        return Err(format!("{part}: {} bytes are not what the graph needs", bytes.len()));
    }
    Ok(())
}

/// Little-endian integers.
fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word))
}

/// Little-endian integers, `expected` of them where that is known.
fn integers(part: &str, bytes: &[u8], expected: Option<usize>) -> Result<Vec<u32>, String> {
    require_integers(part, bytes, expected)?;
    Ok(words(bytes).collect())
}

fn bytes(integers: &[u32]) -> Vec<u8> {
    integers.iter().flat_map(|integer| integer.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// 600 points of 4 numbers in some order: enough for an upper layer or two.
    static VECTORS: LazyLock<Embeddings> = LazyLock::new(|| {
        let values = (0..2400u32).map(|i| (i.wrapping_mul(2654435761) >> 16) as f32 / 65536.0 - 0.5);
        Embeddings::from_values(4, values.collect())
    });
    static GRAPH: LazyLock<FrozenGraph> = LazyLock::new(|| FrozenGraph::build(&VECTORS, &|_, _| {}));

    fn parts() -> HashMap<String, Vec<u8>> {
        GRAPH.to_parts().into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
    }

    #[test]
    fn a_graph_comes_back_from_its_parts_as_it_was() {
        assert!(!GRAPH.upper.is_empty());
        assert_eq!(FrozenGraph::from_parts(&parts(), &VECTORS).as_ref(), Ok(&*GRAPH));
    }

    #[test]
    fn a_missing_part_is_named() {
        for (name, _) in GRAPH.to_parts() {
            let mut parts = parts();
            parts.remove(name);
            assert_eq!(
                FrozenGraph::from_parts(&parts, &VECTORS),
                Err(format!("{name}: the part is missing"))
            );
        }
    }

    #[test]
    fn a_graph_of_other_rows_is_refused() {
        let fewer = Embeddings::from_values(4, VECTORS.as_slice()[4..].to_vec());
        assert!(FrozenGraph::from_parts(&parts(), &fewer).is_err());
        assert!(FrozenGraph::from_parts(&parts(), &Embeddings::empty(4)).is_err());
    }

    #[test]
    fn a_neighbor_that_does_not_exist_is_refused() {
        for part in [BASE, UPPER] {
            let mut parts = parts();
            parts.get_mut(part).unwrap()[..4].copy_from_slice(&600u32.to_le_bytes());
            assert!(FrozenGraph::from_parts(&parts, &VECTORS).unwrap_err().contains("neighbor 600"));
        }
    }

    #[test]
    fn an_order_that_names_a_row_twice_or_one_that_does_not_exist_is_refused() {
        for row in [GRAPH.order[1], 600] {
            let mut parts = parts();
            parts.get_mut(ORDER).unwrap()[..4].copy_from_slice(&row.to_le_bytes());
            let refusal = FrozenGraph::from_parts(&parts, &VECTORS).unwrap_err();
            assert!(refusal.contains(&format!("is row {row}")), "{refusal}");
        }
    }

    #[test]
    fn absurd_sizes_are_refused_without_taking_memory_for_them() {
        let mut parts = parts();
        for (words, said) in [
            ([600, 512, 512, 0].as_slice(), "not what the graph needs"),
            (&[600, u32::MAX, 1, 0], "lists of"),
            (&[600, 0, 1, 0], "lists of"),
            (&[600, 1, 1, u32::MAX], "upper layers"),
            (&[600, 32, 512, 1, 600], "too short"),
            (&[600, 32, 1, 1, u32::MAX], "points of 600"),
            (&[u32::MAX, 1, 1, 0], "for 600 rows"),
            (&[600, 1], "too few"),
        ] {
            parts.insert(HEADER.to_owned(), bytes(words));
            let refusal = FrozenGraph::from_parts(&parts, &VECTORS).unwrap_err();
            assert!(refusal.contains(said), "{refusal}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_are_reading_and_walking_them_does_not_panic(
            which in 0usize..4,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
            small in any::<bool>(),
        ) {
            let mut parts = parts();
            let name = GRAPH.to_parts()[which].0;
            let bytes = parts.get_mut(name).unwrap();
            for (at, value) in changes {
                // Small numbers in low bytes pass for neighbors more often than random ones do.
                let at = if small { at.index(bytes.len()) & !3 } else { at.index(bytes.len()) };
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            if let Ok(graph) = FrozenGraph::from_parts(&parts, &VECTORS) {
                for row in [0, 599] {
                    let hits = graph.search(&VECTORS, VECTORS.row(row), 10, 20, Some(&|row| row % 3 > 0));
                    prop_assert!(hits.len() <= 10);
                }
            }
        }
    }
}
