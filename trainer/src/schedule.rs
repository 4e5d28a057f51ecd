//! The learning rate over the steps: linear warm-up, then linear decay (section 3.1 of the paper).

/// A learning rate that rises to its peak over the first steps and falls to zero at the last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The learning rate at the end of the warm-up.
    pub peak: f64,
    /// Steps of warm-up.
    pub warmup: usize,
    /// The number of steps.
    pub steps: usize,
}

impl Schedule {
    /// Warms up over a share of `steps`, rounded up.
    pub fn new(peak: f64, warmup: f64, steps: usize) -> Self {
        Self { peak, warmup: (warmup * steps as f64).ceil() as usize, steps }
    }

    /// The learning rate of a step, from 0. In the first step of a warm-up it is zero.
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warmup {
            self.peak * step as f64 / self.warmup as f64
        } else {
            self.peak * self.steps.saturating_sub(step) as f64 / (self.steps - self.warmup).max(1) as f64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_to_its_peak_and_falls_to_zero() {
        let schedule = Schedule::new(1.0, 0.1, 100);
        assert_eq!(schedule.at(0), 0.0);
        assert_eq!(schedule.at(5), 0.5);
        assert_eq!(schedule.at(10), 1.0);
        assert_eq!(schedule.at(55), 0.5);
        assert_eq!(schedule.at(100), 0.0);
        assert_eq!(Schedule::new(1.0, 0.0, 10).at(0), 1.0);
        assert_eq!(Schedule::new(1.0, 1.0, 10).at(5), 0.5);
    }
}
