//! Okapi BM25 (Robertson & Zaragoza 2009): how much a passage is about a term.

/// The constants of the formula.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Constants {
    /// How soon further occurrences of a term count little.
    pub(crate) k1: f32,
    /// How much a passage's length counts.
    pub(crate) b: f32,
}

impl Constants {
    /// The best for words alone.
    pub(crate) const ALONE: Self = Self { k1: 1.2, b: 0.75 };
    /// The best beside meaning, which favors passages about one thing already. docs/RETRIEVAL.md has the figures of both.
    pub(crate) const BESIDE_MEANING: Self = Self { k1: 0.9, b: 0.4 };
}

/// The greatest length that is told apart.
pub(crate) const LENGTH_LIMIT: u32 = u16::MAX as u32;

/// Ranks passages by a term.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bm25 {
    weight: f32,
    constant: f32,
    per_position: f32,
}

/// What is known of all passages together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Statistics {
    /// How many passages there are.
    pub(crate) passages: u64,
    /// The sum of their lengths, in positions.
    pub(crate) positions: u64,
}

impl Statistics {
    /// Adds those of further passages.
    pub(crate) fn add(&mut self, more: Self) {
        self.passages = self.passages.saturating_add(more.passages);
        self.positions = self.positions.saturating_add(more.positions);
    }
}

impl Bm25 {
    /// For a term that `holding` passages have and that a query has so many `times`.
    pub(crate) fn new(statistics: Statistics, holding: u64, times: u32, constants: Constants) -> Self {
        let Constants { k1, b } = constants;
        let (all, holding) = (statistics.passages as f64, (holding as f64).min(statistics.passages as f64));
        let rarity = (1.0 + (all - holding + 0.5) / (holding + 0.5)).ln();
        let average = (statistics.positions as f64 / all.max(1.0)).max(1.0);
        Self {
            weight: (rarity * f64::from(times)) as f32 * (k1 + 1.0),
            constant: k1 * (1.0 - b),
            per_position: k1 * b / average as f32,
        }
    }

    /// The score of a passage of this length in which the term occurs so often.
    #[inline]
    pub(crate) fn score(&self, occurrences: u32, length: u16) -> f32 {
        let occurrences = occurrences as f32;
        self.weight * occurrences / (occurrences + self.constant + self.per_position * f32::from(length))
    }

    /// No score of a passage is greater that has at most so many occurrences and at least this length. Infinitely many
    /// are [`MANY`].
    pub(crate) fn bound(&self, occurrences: u8, length: u16) -> f32 {
        // Rounding may lift a score above that of a passage with more occurrences.
        const ROUNDING: f32 = 1.00001;
        match occurrences {
            MANY => self.weight * ROUNDING,
            _ => self.score(occurrences.into(), length) * ROUNDING,
        }
    }
}

/// Stands for this many occurrences or more where scores are bounded.
pub(crate) const MANY: u8 = u8::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_terms_short_passages_and_more_occurrences_score_more() {
        let statistics = Statistics { passages: 100, positions: 1000 };
        let of = |holding| Bm25::new(statistics, holding, 1, Constants::ALONE);
        let (rare, frequent) = (of(1), of(60));
        assert!(rare.score(1, 10) > frequent.score(1, 10) && frequent.score(1, 10) > 0.0);
        assert!(rare.score(1, 5) > rare.score(1, 10) && rare.score(2, 10) > rare.score(1, 10));
        let expected = (1.0 + 99.5f32 / 1.5).ln() * 2.2 * 2.0 / (2.0 + 1.2);
        assert!((rare.score(2, 10) - expected).abs() < 1e-5);
        assert!(rare.bound(MANY, 0) > rare.score(1_000_000, 0));
        assert!(Bm25::new(Statistics::default(), 0, 1, Constants::ALONE).score(1, 0).is_finite());
    }
}
