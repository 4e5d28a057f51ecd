//! The vectors of batches that a device computes while the caller goes on.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use super::device::first_line;
use super::{caught, floats};
use crate::{Device, Error, Result};

/// Batches that wait on a device at most: enough to keep it busy, and few enough for its memory.
const MOST_WAITING: usize = 8;

/// Vectors that a device computes, some of which were read already.
pub(crate) struct Queued {
    device: Device,
    width: usize,
    rows: Vec<f32>,
    /// The rows of each batch, and their vectors, `[rows, width]`.
    waiting: VecDeque<(Vec<usize>, Tensor<2>)>,
}

impl Queued {
    /// A queue for `count` vectors, each `width` long: zeros until they are read.
    pub fn new(device: Device, count: usize, width: usize) -> Self {
        Self { device, width, rows: vec![0.0; count * width], waiting: VecDeque::new() }
    }

    /// Adds a batch, whose vectors are those of `rows`. Reads the oldest batch first where too many wait.
    pub fn push(&mut self, rows: Vec<usize>, vectors: Tensor<2>) -> Result<()> {
        if self.waiting.len() == MOST_WAITING {
            self.read_oldest()?;
        }
        self.waiting.push_back((rows, vectors));
        Ok(())
    }

    /// Waits for all batches: the vectors, `[count, width]`.
    pub fn finish(mut self) -> Result<Vec<f32>> {
        while !self.waiting.is_empty() {
            self.read_oldest()?;
        }
        Ok(self.rows)
    }

    fn read_oldest(&mut self) -> Result<()> {
        let Some((rows, vectors)) = self.waiting.pop_front() else { return Ok(()) };
        let device = self.device;
        let read = || {
            let failed =
                |error: String| Error::Device { device, reason: format!("failed: {}", first_line(&error)) };
            floats(vectors.try_into_data().map_err(|error| failed(error.to_string()))?)
        };
        let vectors = caught(device, read)?;
        scatter(&mut self.rows, &rows, &vectors, self.width);
        Ok(())
    }
}

/// Copies `vectors`, each `width` long, to the rows that they belong to.
pub(super) fn scatter(all: &mut [f32], rows: &[usize], vectors: &[f32], width: usize) {
    for (row, vector) in rows.iter().zip(vectors.chunks_exact(width)) {
        all[row * width..][..width].copy_from_slice(vector);
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device as BurnDevice, TensorData};

    use super::*;

    #[test]
    fn vectors_come_back_in_the_order_of_their_rows_however_many_batches_wait() {
        let batches = 3 * MOST_WAITING;
        let mut queued = Queued::new(Device::Cpu, 2 * batches + 1, 1);
        for batch in 0..batches {
            let rows = vec![2 * batches - 1 - batch, batch];
            let values = rows.iter().map(|row| *row as f32 + 1.0).collect();
            let vectors = Tensor::from_data(TensorData::new::<f32, _>(values, [2, 1]), &BurnDevice::flex());
            queued.push(rows, vectors).unwrap();
            assert!(queued.waiting.len() <= MOST_WAITING);
        }
        let mut expected: Vec<f32> = (1..=2 * batches).map(|row| row as f32).collect();
        // No batch has the last row.
        expected.push(0.0);
        assert_eq!(queued.finish().unwrap(), expected);
    }
}
