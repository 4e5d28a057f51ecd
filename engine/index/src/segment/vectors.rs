//! The vectors of a segment: scanned in the mapping, and read one by one where a walk ranks its best again.

use std::cell::RefCell;
use std::ops::Range;

use akin_kernels::prefetch;

use super::Segment;
use super::graph::has_memory_for;
use super::sections::Section;
use crate::Similarity;
use crate::graph::vectors::Vectors;
use crate::graph::{Fault, Matrix, Pages};

/// How far the length of a stored vector may be from one, or from zero.
const NORM_TOLERANCE: f64 = 1e-3;

thread_local! {
    /// The bytes of one vector, aligned as floats.
    static ROW: RefCell<(Vec<u8>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// The vectors of a segment.
#[derive(Clone, Copy)]
pub(crate) struct SegmentVectors<'a>(pub(super) &'a Segment);

impl SegmentVectors<'_> {
    fn bytes_of(&self, rows: &Range<usize>) -> Range<usize> {
        let stride = 4 * self.0.dimension();
        rows.start * stride..rows.end * stride
    }

    /// The copy in memory, if there is one.
    #[inline]
    fn resident(&self) -> Option<&[f32]> {
        self.0.resident_vectors.get().and_then(Option::as_deref)
    }
}

impl Matrix for SegmentVectors<'_> {
    fn rows(&self) -> usize {
        self.0.distinct_vectors()
    }

    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    #[inline]
    fn row(&self, row: usize) -> &[f32] {
        let dimension = self.0.dimension();
        let vectors = self.resident().unwrap_or_else(|| self.0.mapped_vectors());
        &vectors[row * dimension..][..dimension]
    }

    fn check(&self, rows: Range<usize>) -> Result<(), Fault> {
        match self.resident() {
            Some(_) => Ok(()),
            None => self.0.sections.check(Section::Vectors, self.bytes_of(&rows)),
        }
    }
}

impl Vectors for SegmentVectors<'_> {
    /// Reads the rows beside the mapping, whose pages would count as memory of this process: walks touch rows
    /// all over the file, so that in time all of it would.
    fn scores(&self, query: &[f32], rows: &[u32], scores: &mut Vec<f32>) -> Result<(), Fault> {
        let similarity = self.0.similarity();
        if let Some(vectors) = self.resident() {
            let dimension = self.0.dimension();
            let row = |row: u32| &vectors[row as usize * dimension..][..dimension];
            rows.iter().for_each(|one| prefetch(row(*one)));
            scores.extend(rows.iter().map(|one| similarity.of(query, row(*one))));
            return Ok(());
        }
        let sections = &self.0.sections;
        let range = |row: u32| self.bytes_of(&(row as usize..row as usize + 1));
        ROW.with_borrow_mut(|(bytes, values)| {
            values.resize(self.0.dimension(), 0.0);
            let mut score = |bytes: &[u8]| {
                bytemuck::cast_slice_mut(&mut values[..]).copy_from_slice(bytes);
                similarity.of(query, values)
            };
            let begin = scores.len();
            let mut uncached = Vec::new();
            for (at, row) in rows.iter().enumerate() {
                bytes.clear();
                if sections.read_cached(Section::Vectors, range(*row), bytes)? {
                    scores.push(score(bytes));
                } else {
                    uncached.push((begin + at, *row));
                    scores.push(f32::NAN);
                }
            }
            // Ask for all of them first: a disk serves many requests at once.
            uncached.iter().for_each(|(_, row)| sections.will_need(Section::Vectors, range(*row)));
            for (at, row) in uncached {
                bytes.clear();
                sections.read(Section::Vectors, range(row), bytes)?;
                scores[at] = score(bytes);
            }
            Ok(())
        })
    }
}

impl Segment {
    /// Its vectors.
    pub(crate) fn vectors(&self) -> SegmentVectors<'_> {
        SegmentVectors(self)
    }

    /// Copies its vectors into large pages, if there is memory for them. What cannot be read is left to the search
    /// that needs it, which reports it.
    pub(crate) fn load_vectors(&self) {
        self.resident_vectors.get_or_init(|| {
            if !has_memory_for(self.sections.len(Section::Vectors)) {
                return None;
            }
            self.check_section(Section::Vectors).ok()?;
            let vectors = Pages::of(self.mapped_vectors());
            self.forget_vectors();
            Some(vectors)
        });
    }

    /// All vectors in the mapping; the caller has checked the section.
    pub(crate) fn mapped_vectors(&self) -> &[f32] {
        self.sections.numbers(Section::Vectors)
    }

    /// Lets go of the mapped pages of its vectors.
    pub(crate) fn forget_vectors(&self) {
        self.sections.forget(Section::Vectors);
    }

    /// A copy of the vector of a passage.
    pub(crate) fn vector(&self, passage: usize) -> Result<Vec<f32>, Fault> {
        let mut bytes = Vec::new();
        let row = self.vector_of(passage)?;
        let range = self.vectors().bytes_of(&(row..row + 1));
        self.sections.read(Section::Vectors, range, &mut bytes)?;
        Ok(bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect())
    }

    /// Every vector is finite, and has length one or zero where the cosine is what is asked for.
    pub(super) fn verify_vectors(&self) -> Result<(), Fault> {
        for row in 0..self.distinct_vectors() {
            let vector = &self.mapped_vectors()[row * self.dimension()..][..self.dimension()];
            let norm = vector.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            let is_unit = norm == 0.0 || (norm - 1.0).abs() <= NORM_TOLERANCE;
            if !norm.is_finite() || self.similarity() == Similarity::Cosine && !is_unit {
                return Err(self
                    .sections
                    .fault(Section::Vectors, &format!("vector {row} has length {norm}")));
            }
        }
        Ok(())
    }
}
