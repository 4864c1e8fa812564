//! The one source of chance: tokens, percentages and latencies.

use std::time::Duration;

/// SplitMix64 (Steele, Lea, Flood 2014): tiny, fast and repeatable under a seed.
///
/// It is not a cryptographic generator. What it makes opens a simulator and nothing else.
#[derive(Debug)]
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// Starts from `seed`; equal seeds give equal rolls.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Starts from the operating system's randomness.
    ///
    /// # Errors
    /// When the operating system has none to give.
    pub(crate) fn from_system() -> Result<Self, getrandom::Error> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)?;
        Ok(Self::seeded(u64::from_le_bytes(seed)))
    }

    /// Another generator whose rolls don't disturb this one's.
    pub(crate) fn split(&mut self) -> Self {
        Self::seeded(self.roll())
    }

    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A fraction in `0.0..1.0`.
    fn fraction(&mut self) -> f64 {
        // The top 53 bits are what an f64 can hold exactly.
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether an event of this many percent happens now.
    pub(crate) fn happens(&mut self, percent: f64) -> bool {
        self.fraction() * 100.0 < percent
    }

    /// A duration from `min` to `max`, evenly.
    pub(crate) fn between(&mut self, min: Duration, max: Duration) -> Duration {
        min + max.saturating_sub(min).mul_f64(self.fraction())
    }

    /// 16 hex characters, which name one thing among a few.
    pub(crate) fn id(&mut self) -> String {
        format!("{:016x}", self.roll())
    }

    /// 40 hex characters, the shape of Foxy's tokens in its documentation's examples.
    pub(crate) fn token(&mut self) -> String {
        let tail = self.roll() >> 32;
        format!("{:016x}{:016x}{tail:08x}", self.roll(), self.roll())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_give_equal_tokens_of_forty_hex_characters() {
        let (mut one, mut two) = (Dice::seeded(7), Dice::seeded(7));
        let token = one.token();
        assert_eq!(token, two.token());
        assert_ne!(token, one.token());
        assert!(token.len() == 40 && token.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }

    #[test]
    fn a_percentage_happens_about_as_often_as_it_says() {
        let mut dice = Dice::seeded(1);
        let hits = (0..10_000).filter(|_| dice.happens(5.0)).count();
        assert!((400..600).contains(&hits), "{hits}");
        assert!((0..100).all(|_| !dice.happens(0.0)));
        assert!((0..100).all(|_| dice.happens(100.0)));
    }
}
