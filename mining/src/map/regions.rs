//! Regions of the plane, on several levels: each region of a finer level lies in one of the next coarser level.
//!
//! k-means (Lloyd 1982) makes the finest regions; Ward's method (1963) joins them to the coarser ones.

use rayon::prelude::*;

use super::random::Random;

/// Regions of the finest level, of the middle one and of the coarsest, at most.
const MOST: [usize; 3] = [300, 48, 10];
/// A region of the finest level has so many rows, on average, at least.
const LEAST_ROWS: usize = 12;
/// Rounds of k-means.
const ROUNDS: usize = 20;
/// Rows that are summed together, whatever the number of threads, so that sums are the same.
const BLOCK: usize = 4096;

/// A part of the plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// The level, from 0 for the coarsest.
    pub level: usize,
    /// The region of the level above that it lies in; none on the coarsest level.
    pub parent: Option<usize>,
    /// Where its label belongs: the middle of its most central part.
    pub center: [f32; 2],
    /// How many rows it has.
    pub rows: usize,
    /// The words that tell it from others, best first. [`label`](super::labels::label) fills them in.
    pub words: Vec<String>,
}

/// The regions of a layout.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Regions {
    /// All regions, the coarsest level first; those of a level by falling size.
    pub regions: Vec<Region>,
    /// The region of the finest level of each row.
    pub of_row: Vec<u32>,
}

impl Regions {
    /// The regions of the finest level, as numbers of [`regions`](Self::regions).
    pub fn finest(&self) -> std::ops::Range<usize> {
        let level = self.regions.last().map_or(0, |region| region.level);
        let first = self.regions.iter().position(|region| region.level == level).unwrap_or(0);
        first..self.regions.len()
    }

    /// The region of the coarsest level that a region lies in.
    pub fn coarsest(&self, mut region: usize) -> usize {
        while let Some(parent) = self.regions[region].parent {
            region = parent;
        }
        region
    }
}

/// Divides a layout into regions. The same seed gives the same regions on any number of threads.
pub fn regions(places: &[[f32; 2]], seed: u64) -> Regions {
    if places.is_empty() {
        return Regions::default();
    }
    let cells = Cells::of(places, (places.len() / LEAST_ROWS).clamp(1, MOST[0]), seed);
    let counts = counts(cells.centers.len());
    // The groups of cells of each level, the finest first.
    let mut groups: Vec<Vec<usize>> = (0..cells.centers.len()).map(|cell| vec![cell]).collect();
    let mut levels = Vec::new();
    for count in counts {
        join(&mut groups, &cells, count);
        levels.push(groups.clone());
    }
    levels.reverse();
    name_regions(&levels, &cells)
}

/// How many regions each level has, the finest first.
fn counts(cells: usize) -> Vec<usize> {
    let mut counts = vec![cells];
    for most in &MOST[1..] {
        let count = most.min(&(counts[counts.len() - 1] / 2)).to_owned();
        if count >= 3 {
            counts.push(count);
        }
    }
    counts
}

/// The finest division.
struct Cells {
    centers: Vec<[f32; 2]>,
    sizes: Vec<usize>,
    of_row: Vec<u32>,
}

impl Cells {
    /// Makes up to `count` cells by k-means, from rows that are drawn at random.
    fn of(places: &[[f32; 2]], count: usize, seed: u64) -> Self {
        let mut random = Random::of(seed, 2, 0);
        let mut centers: Vec<[f32; 2]> = (0..count).map(|_| places[random.below(places.len())]).collect();
        let mut of_row = nearest(places, &centers);
        for _ in 0..ROUNDS {
            let sums = sums(places, &of_row, centers.len());
            for (center, (sum, rows)) in centers.iter_mut().zip(sums) {
                if rows > 0 {
                    *center = sum.map(|sum| (sum / rows as f64) as f32);
                }
            }
            of_row = nearest(places, &centers);
        }
        Self::without_empty(centers, of_row)
    }

    fn without_empty(centers: Vec<[f32; 2]>, mut of_row: Vec<u32>) -> Self {
        let mut sizes = vec![0; centers.len()];
        of_row.iter().for_each(|cell| sizes[*cell as usize] += 1);
        let mut number = 0;
        let renumbered: Vec<u32> = sizes
            .iter()
            .map(|size| {
                number += u32::from(*size > 0);
                number.saturating_sub(1)
            })
            .collect();
        of_row.iter_mut().for_each(|cell| *cell = renumbered[*cell as usize]);
        let kept = centers.iter().zip(&sizes).filter(|(_, size)| **size > 0);
        let (centers, sizes) = kept.map(|(center, size)| (*center, *size)).unzip();
        Self { centers, sizes, of_row }
    }
}

/// The nearest center of each place.
fn nearest(places: &[[f32; 2]], centers: &[[f32; 2]]) -> Vec<u32> {
    let of_place = |place: &[f32; 2]| {
        let mut best = (f32::INFINITY, 0);
        for (center, number) in centers.iter().zip(0u32..) {
            let square = square(place, center);
            if square < best.0 {
                best = (square, number);
            }
        }
        best.1
    };
    places.par_iter().with_min_len(512).map(of_place).collect()
}

fn square(one: &[f32; 2], other: &[f32; 2]) -> f32 {
    (one[0] - other[0]).powi(2) + (one[1] - other[1]).powi(2)
}

/// The sum of the places of each cell, and their number.
fn sums(places: &[[f32; 2]], of_row: &[u32], cells: usize) -> Vec<([f64; 2], usize)> {
    let parts: Vec<Vec<([f64; 2], usize)>> = places
        .par_chunks(BLOCK)
        .zip(of_row.par_chunks(BLOCK))
        .map(|(places, of_row)| {
            let mut sums = vec![([0.0; 2], 0); cells];
            for (place, cell) in places.iter().zip(of_row) {
                let (sum, rows) = &mut sums[*cell as usize];
                (0..2).for_each(|axis| sum[axis] += f64::from(place[axis]));
                *rows += 1;
            }
            sums
        })
        .collect();
    let mut whole = vec![([0.0; 2], 0); cells];
    for part in parts {
        for ((sum, rows), (more, count)) in whole.iter_mut().zip(part) {
            (0..2).for_each(|axis| sum[axis] += more[axis]);
            *rows += count;
        }
    }
    whole
}

/// Joins groups of cells until `count` are left, always the two whose joining widens their spread least.
fn join(groups: &mut Vec<Vec<usize>>, cells: &Cells, count: usize) {
    let mut middles: Vec<([f32; 2], f32)> = groups.iter().map(|group| middle(group, cells)).collect();
    while groups.len() > count.max(1) {
        let mut best = (f32::INFINITY, 0, 1);
        for (one, (here, weight)) in middles.iter().enumerate() {
            for (other, (there, weighed)) in middles.iter().enumerate().skip(one + 1) {
                let cost = square(here, there) * weight * weighed / (weight + weighed);
                if cost < best.0 {
                    best = (cost, one, other);
                }
            }
        }
        let (_, one, other) = best;
        let joined = groups.swap_remove(other);
        middles.swap_remove(other);
        groups[one].extend(joined);
        middles[one] = middle(&groups[one], cells);
    }
}

/// The middle of a group of cells, and how many rows it has.
fn middle(group: &[usize], cells: &Cells) -> ([f32; 2], f32) {
    let rows: f32 = group.iter().map(|cell| cells.sizes[*cell] as f32).sum();
    let along = |axis: usize| {
        group.iter().map(|cell| cells.centers[*cell][axis] * cells.sizes[*cell] as f32).sum::<f32>() / rows
    };
    ([along(0), along(1)], rows)
}

/// Makes regions of the groups of cells of each level, the coarsest level first.
fn name_regions(levels: &[Vec<Vec<usize>>], cells: &Cells) -> Regions {
    let mut regions: Vec<Region> = Vec::new();
    // The region of each cell on the level above.
    let mut above: Option<Vec<usize>> = None;
    for (level, groups) in levels.iter().enumerate() {
        let mut groups: Vec<(usize, &Vec<usize>)> =
            groups.iter().map(|group| (group.iter().map(|cell| cells.sizes[*cell]).sum(), group)).collect();
        groups.sort_by_key(|(rows, group)| (std::cmp::Reverse(*rows), group.iter().min().copied()));
        let mut of_cell = vec![0; cells.centers.len()];
        for (rows, group) in groups {
            let (middle, _) = middle(group, cells);
            // A region may be a ring or an arc: its middle need not lie in it.
            let off = |cell: &usize| square(&cells.centers[*cell], &middle);
            let central = group.iter().min_by(|a, b| off(a).total_cmp(&off(b))).copied().unwrap_or(0);
            group.iter().for_each(|cell| of_cell[*cell] = regions.len());
            let parent = above.as_ref().map(|above| above[group[0]]);
            regions.push(Region { level, parent, center: cells.centers[central], rows, words: Vec::new() });
        }
        above = Some(of_cell);
    }
    let of_cell = above.unwrap_or_default();
    let of_row = cells.of_row.iter().map(|cell| of_cell[*cell as usize] as u32).collect();
    Regions { regions, of_row }
}

#[cfg(test)]
mod tests {
    use akin_fixtures::on_threads;

    use super::*;

    /// Three heaps of places, row `r` in heap `r % 3`.
    fn heaps(rows: usize) -> Vec<[f32; 2]> {
        let heap = |row: usize| {
            let mut random = Random::of(3, 0, row as u64);
            let at = [[0.0, 0.0], [30.0, 0.0], [0.0, 40.0]][row % 3];
            at.map(|middle| middle + random.unit() as f32)
        };
        (0..rows).map(heap).collect()
    }

    #[test]
    fn each_row_has_a_region_on_every_level_and_sizes_add_up() {
        let places = heaps(3000);
        let regions = regions(&places, 1);
        let levels = 1 + regions.regions.last().unwrap().level;
        assert_eq!(levels, 3);
        for level in 0..levels {
            let rows: usize =
                regions.regions.iter().filter(|one| one.level == level).map(|one| one.rows).sum();
            assert_eq!(rows, 3000);
        }
        for (number, region) in regions.regions.iter().enumerate() {
            assert_eq!(
                region.parent.map(|parent| regions.regions[parent].level + 1),
                (region.level > 0).then_some(region.level)
            );
            let children = regions.regions.iter().filter(|one| one.parent == Some(number));
            let rows: usize = children.map(|one| one.rows).sum();
            assert!(rows == region.rows || regions.finest().contains(&number), "{number}");
        }
    }

    #[test]
    fn the_coarsest_regions_do_not_mix_heaps_that_lie_apart() {
        let regions = regions(&heaps(3000), 1);
        let mut heap_of = std::collections::HashMap::new();
        for (row, region) in regions.of_row.iter().enumerate() {
            let coarsest = regions.coarsest(*region as usize);
            assert_eq!(*heap_of.entry(coarsest).or_insert(row % 3), row % 3, "row {row}");
        }
        let center = regions.regions[0].center;
        assert!(heaps(3000).iter().any(|place| square(place, &center) < 0.5), "{center:?}");
    }

    #[test]
    fn few_places_and_many_threads_make_no_difference() {
        assert!(regions(&[], 1).regions.is_empty());
        let one = regions(&[[1.0, 2.0]], 1);
        assert_eq!((one.regions.len(), one.of_row), (1, vec![0]));
        assert_eq!(regions(&[[0.0; 2]; 500], 1).regions[0].rows, 500);
        let places = heaps(5000);
        assert_eq!(on_threads(1, || regions(&places, 4)), on_threads(3, || regions(&places, 4)));
    }
}
