//! Equal vectors are kept once: which passages have which vector.
//!
//! Templates, boilerplate and blank texts give many passages one vector. Kept once, it is one row of the vectors and one
//! point of the graph, however many passages have it: it cannot fill the candidates of a walk, or the
//! neighbors of a point, with copies of itself. A segment whose vectors all differ has none of these sections: there
//! passage and vector are the same number.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};
use std::ops::Range;

use akin_kernels::prefetch;
use rayon::prelude::*;

use super::Segment;
use super::sections::Section;
use super::write::SegmentWriter;
use crate::Result;
use crate::graph::Fault;

/// Which of some vectors are equal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SharedVectors {
    /// The number of each passage's vector. Vectors are numbered in the order of their first passages.
    vector_of: Vec<u32>,
    /// The first passage of each vector.
    first: Vec<u32>,
}

impl SharedVectors {
    /// Finds equal vectors among those of `passages`, bit for bit. None if all differ.
    pub(crate) fn find<'a>(
        passages: usize,
        vector: &(impl Fn(usize) -> Cow<'a, [f32]> + Sync),
    ) -> Option<Self> {
        let hash = |passage: usize| {
            let mut hasher = DefaultHasher::new();
            hasher.write(bytemuck::cast_slice(&vector(passage)));
            (hasher.finish(), passage as u32)
        };
        let mut hashes: Vec<(u64, u32)> = (0..passages).into_par_iter().with_min_len(256).map(hash).collect();
        hashes.par_sort_unstable();
        let alike = |a: u32, b: u32| {
            bytemuck::cast_slice::<f32, u32>(&vector(a as usize))
                == bytemuck::cast_slice::<f32, u32>(&vector(b as usize))
        };
        let mut copies: Vec<(u32, u32)> = Vec::new();
        for same in hashes.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() > 1) {
            // One, unless two different vectors have the same hash.
            let mut originals: Vec<u32> = Vec::new();
            for (_, passage) in same {
                match originals.iter().find(|original| alike(**original, *passage)) {
                    Some(original) => copies.push((*passage, *original)),
                    None => originals.push(*passage),
                }
            }
        }
        drop(hashes);
        if copies.is_empty() {
            return None;
        }
        copies.par_sort_unstable();
        let mut copies = copies.into_iter().peekable();
        let (mut vector_of, mut first) = (Vec::with_capacity(passages), Vec::new());
        for passage in 0..passages as u32 {
            match copies.next_if(|(copy, _)| *copy == passage) {
                Some((_, original)) => vector_of.push(vector_of[original as usize]),
                None => {
                    vector_of.push(first.len() as u32);
                    first.push(passage);
                }
            }
        }
        Some(Self { vector_of, first })
    }

    /// The first passage of each vector.
    pub(crate) fn first(&self) -> &[u32] {
        &self.first
    }

    /// Writes which passages have which vector.
    pub(crate) fn write(&self, writer: &mut SegmentWriter<'_>) -> Result<()> {
        let mut ends = vec![0u32; self.first.len() + 1];
        self.vector_of.iter().for_each(|vector| ends[*vector as usize + 1] += 1);
        for vector in 1..ends.len() {
            ends[vector] += ends[vector - 1];
        }
        let mut next = ends.clone();
        let mut passages = vec![0u32; self.vector_of.len()];
        for (passage, vector) in (0..).zip(&self.vector_of) {
            let place = &mut next[*vector as usize];
            passages[*place as usize] = passage;
            *place += 1;
        }
        writer.section(Section::PassageVectors, bytemuck::cast_slice(&self.vector_of))?;
        writer.section(Section::VectorEnds, bytemuck::cast_slice(&ends))?;
        writer.section(Section::VectorPassages, bytemuck::cast_slice(&passages))
    }
}

/// Passages that have one vector.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sharing<'a> {
    /// This one alone.
    One(u32),
    /// These, ascending.
    Many(&'a [u32]),
}

impl Sharing<'_> {
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let (one, many): (Option<u32>, &[u32]) = match self {
            Sharing::One(passage) => (Some(*passage), &[]),
            Sharing::Many(passages) => (None, passages),
        };
        one.into_iter().chain(many.iter().copied())
    }
}

impl Segment {
    /// How many vectors it has: one for all passages whose vectors are equal.
    pub(crate) fn distinct_vectors(&self) -> usize {
        (self.sections.len(Section::Vectors) / (4 * self.header.dimension)) as usize
    }

    /// Whether some passages have one vector.
    #[inline]
    pub(crate) fn shares_vectors(&self) -> bool {
        self.sections.has(Section::PassageVectors)
    }

    /// The vector of a passage.
    pub(crate) fn vector_of(&self, passage: usize) -> Result<usize, Fault> {
        if !self.shares_vectors() {
            return Ok(passage);
        }
        self.check_numbers(Section::PassageVectors, 4 * passage..4 * (passage + 1))?;
        Ok(self.sections.numbers::<u32>(Section::PassageVectors)[passage] as usize)
    }

    /// The passages that have a vector.
    #[inline]
    pub(super) fn passages_with(&self, vector: u32) -> Result<Sharing<'_>, Fault> {
        if !self.shares_vectors() {
            return Ok(Sharing::One(vector));
        }
        let (at, passages) = (vector as usize, self.passages());
        self.sections.check(Section::VectorEnds, 4 * at..4 * (at + 2))?;
        let ends: &[u32] = &self.sections.numbers(Section::VectorEnds)[at..at + 2];
        let range = ends[0] as usize..ends[1] as usize;
        if range.is_empty() || range.end > passages {
            return Err(self.sections.fault(Section::VectorEnds, "a vector is of no passage"));
        }
        self.check_numbers(Section::VectorPassages, 4 * range.start..4 * range.end)?;
        Ok(Sharing::Many(&self.sections.numbers(Section::VectorPassages)[range]))
    }

    /// Asks for what [`passages_with`](Self::passages_with) reads of some vectors, places all over the file: one after another
    /// a query would wait for each of them.
    pub(super) fn prefetch_passages_with(&self, vectors: impl Iterator<Item = u32> + Clone) {
        let ends = self.sections.numbers::<u32>(Section::VectorEnds);
        let passages = self.sections.numbers::<u32>(Section::VectorPassages);
        vectors.clone().for_each(|vector| prefetch(&ends[vector as usize..][..1]));
        for vector in vectors.map(|vector| vector as usize) {
            if self.sections.check(Section::VectorEnds, 4 * vector..4 * (vector + 1)).is_ok() {
                prefetch(&passages[(ends[vector] as usize).min(passages.len() - 1)..][..1]);
            }
        }
    }

    /// Checks a range of a section of numbers of passages or vectors, and that there are such.
    #[inline]
    pub(super) fn check_numbers(&self, section: Section, bytes: Range<usize>) -> Result<(), Fault> {
        self.sections.check_with(section, bytes, &|_, block| {
            let limit = match section {
                Section::VectorPassages => self.passages(),
                _ => self.distinct_vectors(),
            };
            match bytemuck::cast_slice::<u8, u32>(block).iter().find(|number| **number as usize >= limit) {
                Some(number) => Err(format!("it names number {number} of {limit}")),
                None => Ok(()),
            }
        })
    }

    /// The two maps between passages and vectors say the same.
    pub(super) fn verify_sharing(&self) -> Result<(), Fault> {
        if !self.shares_vectors() {
            return Ok(());
        }
        let mut seen = 0;
        for vector in 0..self.distinct_vectors() {
            let sharing = self.passages_with(vector as u32)?;
            for passage in sharing.iter() {
                if self.vector_of(passage as usize)? != vector {
                    let why = format!("passage {passage} has another vector than {vector}");
                    return Err(self.sections.fault(Section::VectorPassages, &why));
                }
                seen += 1;
            }
        }
        match seen == self.passages() {
            true => Ok(()),
            false => Err(self.sections.fault(Section::VectorPassages, "it does not name each passage once")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(rows: &[[f32; 2]]) -> Option<SharedVectors> {
        SharedVectors::find(rows.len(), &|row| Cow::Borrowed(&rows[row][..]))
    }

    #[test]
    fn equal_vectors_are_numbered_by_their_first_passage() {
        let shared = find(&[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [1.0, 0.0]]).unwrap();
        assert_eq!(shared.vector_of, [0, 1, 0, 2, 1, 0]);
        assert_eq!(shared.first, [0, 1, 3]);
    }

    #[test]
    fn vectors_that_differ_in_one_bit_are_different() {
        assert_eq!(find(&[[1.0, 0.0], [1.0, f32::from_bits(1)], [1.0 - f32::EPSILON, 0.0]]), None);
        assert_eq!(find(&[]), None);
    }
}
