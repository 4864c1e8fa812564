//! The test's one source of chance, so that a seed repeats what was decided, if not how the machine took it.

use std::{ops::Range, time::Duration};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(super) struct Dice(u64);

impl Dice {
    /// Equal seeds give equal rolls.
    pub(super) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Another generator, so that tasks side by side don't disturb each other's rolls.
    pub(super) const fn split(&mut self) -> Self {
        Self(self.roll())
    }

    const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..sides`.
    pub(super) const fn below(&mut self, sides: usize) -> usize {
        (self.roll() % sides as u64) as usize
    }

    /// Whether an event of this many percent happens now.
    pub(super) const fn happens(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A duration from the range, evenly.
    pub(super) fn within(&mut self, range: Range<Duration>) -> Duration {
        let share = (self.roll() >> 11) as f64 / (1_u64 << 53) as f64;
        range.start + (range.end - range.start).mul_f64(share)
    }

    /// About so long: from a third of it to five thirds.
    pub(super) fn about(&mut self, mean: Duration) -> Duration {
        self.within(mean / 3..mean * 5 / 3)
    }

    /// Mixes a list.
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}
