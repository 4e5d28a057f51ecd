//! A graph from whose entry every point is reached.

use super::beam::{Beam, Candidate};
use super::codes::CodesView;
use super::lists::{Adjacency, NONE};
use super::{NEIGHBORS, Trusted};

/// Links each point that cannot be reached from point 0 with a near point that can: pruning a full list
/// may have dropped the last edge to a point.
pub(super) fn connect(base: &mut Adjacency, codes: CodesView<'_>) -> Tree {
    let points = base.points();
    let mut tree = Tree {
        reached: vec![false; points],
        edges: vec![false; base.targets.len()],
        order: Vec::with_capacity(points),
    };
    if points == 0 {
        return tree;
    }
    tree.grow(base, 0);
    let mut beam = Beam::default();
    for point in 0..points as u32 {
        if tree.reached[point as usize] {
            continue;
        }
        beam.query.set_codes(codes.row(point));
        // All that a walk from the entry meets is reached, and so is this point from then on.
        let start = Candidate::new(beam.nearness(codes, 0), 0);
        let near = beam
            .walk(&Trusted, base.lists(), codes, &[start], 2 * NEIGHBORS, 0)
            .expect("lists in memory have no faults");
        // The point that was reached last leads nowhere yet in the tree, so that it has a place.
        let hosts = near.iter().map(|near| near.point()).chain(tree.order.iter().rev().copied());
        let (host, place) = hosts
            .filter_map(|host| Some((host, tree.place(base, host)?)))
            .next()
            .expect("the point reached last has room for an edge");
        base.targets[place] = point;
        tree.edges[place] = true;
        let back = &mut base.targets[point as usize * base.width..][..base.width];
        if !back.contains(&host)
            && let Some(free) = back.iter_mut().find(|target| **target == NONE)
        {
            *free = host;
        }
        tree.grow(base, point);
    }
    tree
}

/// The points that are reached from the entry, and over which edges.
pub(super) struct Tree {
    reached: Vec<bool>,
    /// Which of the base layer's places hold the edge over which its target was first reached: as long
    /// as those stay, everything reached stays so.
    edges: Vec<bool>,
    /// The points as they were reached.
    order: Vec<u32>,
}

impl Tree {
    /// Takes in `root` and all that it leads to.
    fn grow(&mut self, base: &Adjacency, root: u32) {
        let mut next = self.order.len();
        self.reached[root as usize] = true;
        self.order.push(root);
        while let Some(&point) = self.order.get(next) {
            next += 1;
            for (at, target) in base.of(point).enumerate() {
                if !self.reached[target as usize] {
                    self.reached[target as usize] = true;
                    self.edges[point as usize * base.width + at] = true;
                    self.order.push(target);
                }
            }
        }
    }

    /// Enters an edge that stays, if `from` has a place for it.
    pub(super) fn enter(&mut self, base: &mut Adjacency, from: u32, to: u32) {
        if base.of(from).all(|target| target != to)
            && let Some(place) = self.place(base, from)
        {
            base.targets[place] = to;
            self.edges[place] = true;
        }
    }

    /// A place of `point` for another edge: a free one, or that of its farthest neighbor that is
    /// reached over another edge.
    fn place(&self, base: &Adjacency, point: u32) -> Option<usize> {
        let first = point as usize * base.width;
        let listed = base.of(point).count();
        if listed < base.width {
            return Some(first + listed);
        }
        (first..first + base.width).rev().find(|place| !self.edges[*place])
    }
}
