//! The order in which points are inserted: the first ones are on the upper layers, so they stand for all regions.
//!
//! The paper draws the points of the upper layers at random. Of a corpus that is one crowd of like texts and a few
//! others, that takes hardly any of the few: a walk comes down in the crowd, whose points all lead to each other, and
//! never sees the rest. So half of the upper layers' points are drawn from all regions alike. A region is the points
//! nearest to one of some pivots, each of which is the point farthest from the pivots before it (Gonzalez 1985).

use rayon::prelude::*;

use super::NEIGHBORS;
use super::codes::Codes;
use akin_kernels::QuantizedQuery;

/// Regions, at most.
pub(super) const REGIONS: usize = 256;
/// Points for each pivot, at least.
const REGION: usize = 64;
/// Points that one thread compares with a pivot at a time.
const BLOCK: usize = 2048;

/// Puts points that stand for all regions first, in `order` and in `codes` alike, and tells the region of each point. Both
/// are in an order without order.
pub(super) fn put_regions_first(order: &mut [u32], codes: &mut Codes) -> Vec<u8> {
    let points = order.len();
    let upper = points / NEIGHBORS;
    let count = REGIONS.min(points / REGION);
    if count < 2 {
        return vec![0; points];
    }
    let region_of = regions(codes, points, count);
    let mut members = vec![Vec::new(); count];
    for (point, region) in (0..).zip(&region_of) {
        members[*region as usize].push(point);
    }
    let mut first: Vec<u32> = Vec::with_capacity(upper);
    let mut taken = vec![false; points];
    let mut random = 0..points as u32;
    let mut turn = 0;
    'regions: loop {
        let mut found = false;
        for members in &members {
            let Some(point) = members.get(turn) else { continue };
            found = true;
            // One of the region, and one of all.
            for point in std::iter::once(*point).chain(random.find(|point| !taken[*point as usize])) {
                if first.len() == upper {
                    break 'regions;
                }
                if !std::mem::replace(&mut taken[point as usize], true) {
                    first.push(point);
                }
            }
        }
        turn += 1;
        if !found {
            break;
        }
    }
    let rest = (0..points as u32).filter(|point| !taken[*point as usize]);
    let from: Vec<u32> = first.iter().copied().chain(rest).collect();
    permute(order, codes, &from);
    from.iter().map(|point| region_of[*point as usize]).collect()
}

/// The region of each point.
fn regions(codes: &Codes, points: usize, count: usize) -> Vec<u8> {
    let view = codes.view();
    let mut region_of = vec![0u8; points];
    let mut nearness = vec![i32::MIN; points];
    let mut pivot = 0u32;
    for region in 0..count {
        let compare = |(block, (nearness, region_of)): (usize, (&mut [i32], &mut [u8]))| {
            let first = (block * BLOCK) as u32;
            let all: Vec<u32> = (first..first + nearness.len() as u32).collect();
            let (mut query, mut sums) = (QuantizedQuery::default(), Vec::new());
            query.set_codes(view.row(pivot));
            query.dots(view.bytes, &all, &mut sums);
            let mut farthest = (i32::MAX, 0);
            for (at, sum) in sums.iter().enumerate() {
                if *sum > nearness[at] {
                    (nearness[at], region_of[at]) = (*sum, region as u8);
                }
                farthest = farthest.min((nearness[at], first + at as u32));
            }
            farthest
        };
        let blocks = nearness.par_chunks_mut(BLOCK).zip(region_of.par_chunks_mut(BLOCK)).enumerate();
        pivot = blocks.map(compare).min().map_or(0, |farthest| farthest.1);
    }
    region_of
}

/// Makes place n of both what is at place `from[n]`.
fn permute(order: &mut [u32], codes: &mut Codes, from: &[u32]) {
    let stride = codes.stride;
    let mut done = vec![false; from.len()];
    let mut saved = vec![0u8; stride];
    for begin in 0..from.len() {
        if done[begin] {
            continue;
        }
        // A cycle: each place takes what is next in it, and the last one what was at its beginning.
        let first = order[begin];
        saved.copy_from_slice(&codes.bytes[begin * stride..][..stride]);
        let mut at = begin;
        loop {
            done[at] = true;
            let next = from[at] as usize;
            if next == begin {
                order[at] = first;
                codes.bytes[at * stride..][..stride].copy_from_slice(&saved);
                break;
            }
            order[at] = order[next];
            codes.bytes.copy_within(next * stride..(next + 1) * stride, at * stride);
            at = next;
        }
    }
}
