//! How often each client may ask: a bucket of requests for each key, or for each address where no key is shown.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Clients that are remembered. Beyond them those whose buckets are full, which is as if they had not asked, are forgotten.
const REMEMBERED: usize = 10_000;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A key, by its place in the file.
    Key(usize),
    /// An address, or the network of one customer, which has many.
    Address(IpAddr),
    /// A client of this machine without an address.
    Local,
}

impl Caller {
    /// The caller at an address.
    pub fn at(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Local,
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                Self::Address(IpAddr::from([a, b, c, d, 0, 0, 0, 0]))
            }
            Some(address) => Self::Address(address),
        }
    }
}

/// The buckets of all callers. Each holds the requests of a second, one at least, and fills evenly.
pub struct Rate {
    per_second: f64,
    buckets: Mutex<HashMap<Caller, Bucket>>,
}

struct Bucket {
    /// What was in it at that time.
    requests: f64,
    at: Instant,
}

impl Rate {
    /// So many requests a second for each caller.
    pub fn new(per_second: f64) -> Self {
        Self { per_second, buckets: Mutex::default() }
    }

    /// The most that a caller may ask at once.
    fn most(&self) -> f64 {
        self.per_second.max(1.0)
    }

    /// Takes a request out of the caller's bucket, or tells how long the next one takes to come.
    pub fn take(&self, caller: Caller, now: Instant) -> Result<(), Duration> {
        let most = self.most();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= REMEMBERED && !buckets.contains_key(&caller) {
            buckets.retain(|_, bucket| self.filled(bucket, now) < most);
            if buckets.len() >= REMEMBERED {
                // So many callers at once: better to forget them than to refuse whoever is new.
                buckets.clear();
            }
        }
        let bucket = buckets.entry(caller).or_insert(Bucket { requests: most, at: now });
        *bucket = Bucket { requests: self.filled(bucket, now), at: now };
        if bucket.requests >= 1.0 {
            bucket.requests -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - bucket.requests) / self.per_second;
        Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::from_secs(3600)))
    }

    fn filled(&self, bucket: &Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.requests + passed * self.per_second).min(self.most())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_what_is_in_it_and_fills_evenly() {
        let (rate, start) = (Rate::new(4.0), Instant::now());
        let (a, b) = (Caller::Key(1), Caller::at("10.0.0.1".parse().ok()));
        for _ in 0..4 {
            assert_eq!(rate.take(a, start), Ok(()));
        }
        assert_eq!(rate.take(a, start), Err(Duration::from_millis(250)));
        assert_eq!(rate.take(b, start), Ok(()));
        let later = start + Duration::from_millis(250);
        assert_eq!(rate.take(a, later), Ok(()));
        assert!(rate.take(a, later).is_err());
        // Not more than a second's worth is saved.
        let much_later = start + Duration::from_secs(100);
        assert_eq!((0..10).filter(|_| rate.take(a, much_later).is_ok()).count(), 4);
    }

    #[test]
    fn less_than_one_a_second_is_one_at_a_time() {
        let (rate, start) = (Rate::new(0.1), Instant::now());
        assert_eq!(rate.take(Caller::Local, start), Ok(()));
        assert_eq!(rate.take(Caller::Local, start), Err(Duration::from_secs(10)));
    }

    #[test]
    fn a_network_of_one_customer_is_one_caller() {
        let of = |address: &str| Caller::at(address.parse().ok());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }

    #[test]
    fn not_more_callers_are_remembered_than_fit() {
        let (rate, start) = (Rate::new(1.0), Instant::now());
        for key in 0..3 * REMEMBERED {
            assert_eq!(rate.take(Caller::Key(key), start), Ok(()));
            assert!(rate.buckets.lock().unwrap().len() <= REMEMBERED);
        }
    }
}
