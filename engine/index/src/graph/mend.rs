//! Links points that walks miss.
//!
//! Of a crowd's many like points a list keeps those that lead to all others of the crowd, and drops the few points beyond
//! it. A point beyond can be linked from few others, none of which a walk towards it meets. So points are
//! looked for by their own codes: some of each region, and all of a region where one of those is not found. The point where such a
//! walk ends gets an edge to the one that it missed.

use rayon::prelude::*;

use super::beam::{Beam, Candidate};
use super::codes::CodesView;
use super::connect::Tree;
use super::lists::Adjacency;
use super::{Trusted, order::REGIONS};

/// Candidates of the walks: fewer than a search has, so that searches find what these find.
const EF: usize = 48;
/// Candidates with which a walk comes down to the base.
const STARTS: usize = 1;
/// Points of each region that are looked for first.
const SAMPLE: usize = 16;
/// How often all is looked through: an edge that was entered may have taken the place of another.
const ROUNDS: usize = 3;

/// Links the points that a walk does not find by their own codes. `layers` has the base first; `tree` has the edges of the
/// base that must stay.
pub(super) fn mend(layers: &mut [Adjacency], tree: &mut Tree, codes: CodesView<'_>, region_of: &[u8]) {
    let mut members = vec![Vec::new(); REGIONS];
    for (point, region) in (0u32..).zip(region_of) {
        members[usize::from(*region)].push(point);
    }
    // Those that came last are on no upper layer.
    let ends = members.iter().map(|members| &members[members.len().saturating_sub(SAMPLE)..]);
    let sample: Vec<u32> = ends.flatten().copied().collect();
    for _ in 0..ROUNDS {
        let mut incomplete = vec![false; REGIONS];
        for (_, point) in missed(layers, codes, &sample) {
            incomplete[usize::from(region_of[point as usize])] = true;
        }
        let all = members.iter().zip(incomplete).filter(|(_, incomplete)| *incomplete);
        let all: Vec<u32> = all.flat_map(|(members, _)| members).copied().collect();
        if all.is_empty() {
            return;
        }
        for (from, to) in missed(layers, codes, &all) {
            tree.enter(&mut layers[0], from, to);
        }
    }
}

/// The points that a walk does not find, each after the point where the walk ended.
fn missed(layers: &[Adjacency], codes: CodesView<'_>, points: &[u32]) -> Vec<(u32, u32)> {
    let find = |beam: &mut Beam, point: u32| {
        beam.query.set_codes(codes.row(point));
        let own = beam.nearness(codes, point);
        let above = layers[1..].iter().rev().map(Adjacency::lists);
        let starts = beam.come_down(&Trusted, above, codes, STARTS).ok()?;
        let met: &[Candidate] = beam.walk(&Trusted, layers[0].lists(), codes, &starts, EF, 0).ok()?;
        met.first().filter(|best| best.nearness() < own).map(|best| (best.point(), point))
    };
    let walks = points.par_iter().with_min_len(8);
    walks.map_init(Beam::default, |beam, point| find(beam, *point)).flatten_iter().collect()
}
