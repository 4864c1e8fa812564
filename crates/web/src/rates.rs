//! How often one client may ask, with a bound on how many clients are remembered.
//!
//! The crates for this (`governor`, `tower_governor`) keep an entry for each key until they are told to forget, so an
//! attacker with many addresses fills the memory. What is left of them beside that is the one line of arithmetic below.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use crate::forwarded::Client;

/// How often one client may ask.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// How many requests may come at once after a rest.
    pub burst: NonZeroU32,
    /// How long it takes until one more may come.
    pub every: Duration,
}

/// When each client's requests so far are paid for: the generic cell rate algorithm.
#[derive(Debug)]
pub(crate) struct Rates {
    rate: Rate,
    most: usize,
    paid_at: HashMap<Client, Instant>,
    /// Of all clients together that there was no room for.
    others_paid_at: Option<Instant>,
    /// When it was last tried to make room. Each try looks at every client.
    swept_at: Option<Instant>,
}

impl Rates {
    /// Remembers at most this many clients.
    pub(crate) fn new(rate: Rate, most: usize) -> Self {
        Self { rate, most, paid_at: HashMap::new(), others_paid_at: None, swept_at: None }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// How long to wait, if it is one too many. It is not counted then.
    pub(crate) fn admit(&mut self, client: Client, now: Instant) -> Result<(), Duration> {
        let Rate { burst, every } = self.rate;
        let is_known = self.paid_at.contains_key(&client) || self.has_room(now);
        let paid_at = if is_known { self.paid_at.get(&client).copied() } else { self.others_paid_at };
        let paid_at = paid_at.map_or(now, |at| at.max(now)) + every;
        // The first request after a rest is paid for one step later, so a whole burst is paid for `burst` steps later.
        let wait = paid_at.saturating_duration_since(now).saturating_sub(every.saturating_mul(burst.get()));
        if !wait.is_zero() {
            return Err(wait);
        }
        if is_known {
            self.paid_at.insert(client, paid_at);
        } else {
            self.others_paid_at = Some(paid_at);
        }
        Ok(())
    }

    /// Forgets clients that have rested, if there is no room.
    fn has_room(&mut self, now: Instant) -> bool {
        let may_sweep = self.swept_at.is_none_or(|at| now.saturating_duration_since(at) >= self.rate.every);
        if self.paid_at.len() >= self.most && may_sweep {
            self.swept_at = Some(now);
            self.paid_at.retain(|_, paid_at| *paid_at > now);
        }
        self.paid_at.len() < self.most
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rates(burst: u32, most: usize) -> Rates {
        Rates::new(Rate { burst: NonZeroU32::new(burst).unwrap(), every: SECOND }, most)
    }

    fn client(number: u32) -> Client {
        Client::Known(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn a_burst_is_taken_and_then_one_each_step() {
        let (mut rates, now) = (rates(3, 10), Instant::now());
        assert!((0..3).all(|_| rates.admit(client(1), now).is_ok()));
        assert_eq!(rates.admit(client(1), now), Err(SECOND));
        assert_eq!(rates.admit(client(2), now), Ok(()), "another client's requests are its own");
        assert_eq!(rates.admit(client(1), now + SECOND), Ok(()));
        assert_eq!(rates.admit(client(1), now + SECOND), Err(SECOND));
        assert!((0..3).all(|_| rates.admit(client(1), now + 60 * SECOND).is_ok()), "a rest brings the burst back");
    }

    #[test]
    fn a_million_addresses_take_no_more_room_and_share_one_rate() {
        let (mut rates, now) = (rates(3, 1000), Instant::now());
        let admitted = (0..1_000_000).filter(|number| rates.admit(client(*number), now).is_ok()).count();
        assert_eq!((admitted, rates.paid_at.len()), (1003, 1000));
        // Those who were known before the flood are still served.
        assert_eq!(rates.admit(client(5), now), Ok(()));
        let later = now + 2 * SECOND;
        assert_eq!(rates.admit(client(2_000_000), later), Ok(()));
        assert_eq!(rates.paid_at.len(), 1, "those who rested are forgotten");
    }
}
