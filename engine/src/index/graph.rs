//! A navigable small-world graph (HNSW: Malkov & Yashunin 2018) in flat arrays: what a segment keeps
//! and a query walks.

use std::collections::HashMap;

/// Layers above the base that a graph can have: as many as `hnsw_rs` builds.
const MAX_LAYERS: usize = 16;
/// Neighbors of one point on one layer, at most: as `hnsw_rs` has it.
const MAX_WIDTH: usize = 512;

/// Ends a list of neighbors that is shorter than its place.
pub(super) const NONE: u32 = u32::MAX;

/// The HNSW graph of n points, ready to be walked: [`build`](Self::build) makes it,
/// [`search`](Self::search) walks it, and [`to_parts`](Self::to_parts) are its bytes.
///
/// It holds no vectors: whoever walks it brings the embeddings it was built from.
#[derive(Debug, Clone, PartialEq)]
pub struct FrozenGraph {
    /// Where each search begins: a point of the highest layer.
    pub(super) entry: u32,
    /// The base layer, which all points are in.
    pub(super) base: Adjacency,
    /// Layers 1, 2, ...: each a small part of the one below.
    pub(super) upper: Vec<Layer>,
}

/// The points of an upper layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    /// Which rows they are, ascending. A place in this list is a slot.
    pub(super) rows: Vec<u32>,
    /// Neighbors, of slots as slots.
    pub(super) neighbors: Adjacency,
}

impl Layer {
    /// The slot of `row`.
    pub(super) fn slot(&self, row: u32) -> Option<u32> {
        self.rows.binary_search(&row).ok().map(|slot| slot as u32)
    }
}

/// Lists of neighbors, each at a place of its own of one width: `[points, width]`, nearest first,
/// ended by [`NONE`] where a list is shorter.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Adjacency {
    pub(super) width: usize,
    pub(super) targets: Vec<u32>,
}

impl Adjacency {
    pub(super) fn new(width: usize, points: usize) -> Self {
        Self { width, targets: vec![NONE; points * width] }
    }

    fn points(&self) -> usize {
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
        let targets = integers(part, bytes, points.checked_mul(width))?;
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
        self.base.points()
    }

    /// How many neighbors its points have, all layers taken together.
    pub fn edges(&self) -> usize {
        self.base.edges() + self.upper.iter().map(|layer| layer.neighbors.edges()).sum::<usize>()
    }

    /// Its bytes, as named arrays of little-endian u32:
    ///
    /// - `graph`: points, width of the base lists, width of the upper lists, entry point, number of
    ///   upper layers, then the points of each of them from layer 1 up;
    /// - `graph.base`: the base lists, `[points, width]`, 2^32 - 1 after the end of a list;
    /// - `graph.rows`: the rows of the upper layers, ascending in each, layer after layer;
    /// - `graph.upper`: their lists in the same order, neighbors given as places in the layer's rows.
    pub fn to_parts(&self) -> Vec<(&'static str, Vec<u8>)> {
        let upper_width = self.upper.first().map_or(1, |layer| layer.neighbors.width);
        let mut header = vec![
            self.points() as u32,
            self.base.width as u32,
            upper_width as u32,
            self.entry,
            self.upper.len() as u32,
        ];
        header.extend(self.upper.iter().map(|layer| layer.rows.len() as u32));
        vec![
            (HEADER, bytes(&header)),
            (BASE, bytes(&self.base.targets)),
            (ROWS, self.upper.iter().flat_map(|layer| bytes(&layer.rows)).collect()),
            (UPPER, self.upper.iter().flat_map(|layer| bytes(&layer.neighbors.targets)).collect()),
        ]
    }

    /// Reads the arrays that [`to_parts`](Self::to_parts) wrote, of a graph of `rows` points. Parts of
    /// other names are not looked at. Whatever the bytes are, it takes no more memory than they do,
    /// and the graph that comes back can be walked without a panic.
    ///
    /// # Errors
    /// What is missing or wrong, in words.
    pub fn from_parts(parts: &HashMap<String, Vec<u8>>, rows: usize) -> Result<Self, String> {
        let part = |name: &str| {
            parts.get(name).map(Vec::as_slice).ok_or_else(|| format!("{name}: the part is missing"))
        };
        let header = integers(HEADER, part(HEADER)?, None)?;
        let [points, base_width, upper_width, entry, layers, ref counts @ ..] = header[..] else {
            return Err(format!("{HEADER}: {} numbers are too few", header.len()));
        };
        if points as usize != rows {
            return Err(format!("{HEADER}: {points} points for {rows} rows"));
        }
        let (base_width, upper_width) = (base_width as usize, upper_width as usize);
        if !(1..=MAX_WIDTH).contains(&base_width) || !(1..=MAX_WIDTH).contains(&upper_width) {
            return Err(format!("{HEADER}: lists of {base_width} and {upper_width} neighbors"));
        }
        if counts.len() != layers as usize || counts.len() > MAX_LAYERS {
            return Err(format!("{HEADER}: {layers} upper layers, {} sizes", counts.len()));
        }
        if entry >= points && (points, entry) != (0, 0) {
            return Err(format!("{HEADER}: the search begins at point {entry} of {points}"));
        }
        let base = Adjacency::from_bytes(BASE, part(BASE)?, rows, base_width)?;
        let upper = read_upper(part(ROWS)?, part(UPPER)?, counts, rows, upper_width)?;
        if upper.last().is_some_and(|top| top.slot(entry).is_none()) {
            return Err(format!(
                "{HEADER}: the search begins at point {entry}, which is not on the top layer"
            ));
        }
        Ok(Self { entry, base, upper })
    }
}

const HEADER: &str = "graph";
const BASE: &str = "graph.base";
const ROWS: &str = "graph.rows";
const UPPER: &str = "graph.upper";

/// Reads layers of `counts` points each, whose lists have `width` neighbors.
fn read_upper(
    mut rows: &[u8],
    mut lists: &[u8],
    counts: &[u32],
    points: usize,
    width: usize,
) -> Result<Vec<Layer>, String> {
    let mut upper: Vec<Layer> = Vec::with_capacity(counts.len());
    for (above, count) in counts.iter().enumerate() {
        let layer = above + 1;
        let count = *count as usize;
        if count == 0 || count > points {
            return Err(format!("{HEADER}: layer {layer} has {count} points of {points}"));
        }
        let mine = split(ROWS, &mut rows, count.checked_mul(4))?;
        let mine = integers(ROWS, mine, Some(count))?;
        if !mine.is_sorted_by(|a, b| a < b) {
            return Err(format!("{ROWS}: the rows of layer {layer} do not ascend"));
        }
        let below = |row: u32| match upper.last() {
            None => (row as usize) < points,
            Some(below) => below.slot(row).is_some(),
        };
        if let Some(row) = mine.iter().find(|row| !below(**row)) {
            return Err(format!("{ROWS}: row {row} of layer {layer} is not on the layer below"));
        }
        let bytes = split(UPPER, &mut lists, count.checked_mul(4 * width))?;
        let neighbors = Adjacency::from_bytes(UPPER, bytes, count, width)?;
        upper.push(Layer { rows: mine, neighbors });
    }
    if !rows.is_empty() || !lists.is_empty() {
        return Err(format!("{ROWS}, {UPPER}: bytes after the last layer"));
    }
    Ok(upper)
}

/// Takes the first `length` of `bytes` away.
fn split<'a>(part: &str, bytes: &mut &'a [u8], length: Option<usize>) -> Result<&'a [u8], String> {
    let (first, rest) = length
        .and_then(|length| bytes.split_at_checked(length))
        .ok_or_else(|| format!("{part}: too short"))?;
    *bytes = rest;
    Ok(first)
}

/// Little-endian integers, `expected` of them where that is known.
fn integers(part: &str, bytes: &[u8], expected: Option<usize>) -> Result<Vec<u32>, String> {
    let (words, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || expected.is_some_and(|expected| expected != words.len()) {
        return Err(format!("{part}: {} bytes are not what the graph needs", bytes.len()));
    }
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

fn bytes(integers: &[u32]) -> Vec<u8> {
    integers.iter().flat_map(|integer| integer.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Embeddings;
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
        assert_eq!(FrozenGraph::from_parts(&parts(), 600).as_ref(), Ok(&*GRAPH));
    }

    #[test]
    fn a_missing_part_is_named() {
        for (name, _) in GRAPH.to_parts() {
            let mut parts = parts();
            parts.remove(name);
            assert_eq!(FrozenGraph::from_parts(&parts, 600), Err(format!("{name}: the part is missing")));
        }
    }

    #[test]
    fn a_graph_of_other_rows_is_refused() {
        assert!(FrozenGraph::from_parts(&parts(), 599).is_err());
        assert!(FrozenGraph::from_parts(&parts(), usize::MAX).is_err());
    }

    #[test]
    fn a_neighbor_that_does_not_exist_is_refused() {
        for part in [BASE, UPPER] {
            let mut parts = parts();
            parts.get_mut(part).unwrap()[..4].copy_from_slice(&600u32.to_le_bytes());
            assert!(FrozenGraph::from_parts(&parts, 600).unwrap_err().contains("neighbor 600"));
        }
    }

    #[test]
    fn absurd_sizes_are_refused_without_taking_memory_for_them() {
        let mut parts = parts();
        let points = u32::MAX - 1;
        for (words, said) in [
            ([points, 512, 512, 0, 0].as_slice(), "not what the graph needs"),
            (&[points, u32::MAX, 1, 0, 0], "lists of"),
            (&[points, 0, 1, 0, 0], "lists of"),
            (&[points, 1, 1, 0, u32::MAX], "upper layers"),
            (&[points, 1, 1, points, 0], "begins at"),
            (&[points, 1], "too few"),
        ] {
            parts.insert(HEADER.to_owned(), bytes(words));
            let refusal = FrozenGraph::from_parts(&parts, points as usize).unwrap_err();
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
            if let Ok(graph) = FrozenGraph::from_parts(&parts, 600) {
                for row in [0, 599] {
                    let hits = graph.search(&VECTORS, VECTORS.row(row), 10, 20, &|row| row % 3 > 0);
                    prop_assert!(hits.len() <= 10);
                }
            }
        }
    }
}
