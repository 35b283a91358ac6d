//! When a failed request is tried again, and for how long.
//!
//! The schedule is that of the official clients (`spec/configuration.md` 5.2): the budget starts to run when the first
//! try has failed, pauses double from 10 ms up to a cap, with a jitter of some milliseconds, so that clients that failed
//! together do not come back together.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The jitter is up to half of it, in both directions, and a tenth of longer pauses.
const JITTER: Duration = Duration::from_millis(10);

/// How long requests are tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryPolicy {
    /// From the end of the first try; zero disables retries.
    pub(crate) budget: Duration,
    /// The longest pause.
    pub(crate) max_pause: Duration,
    /// The end of the whole call.
    pub(crate) deadline: Option<Instant>,
}

/// The pauses between the tries of one request.
#[derive(Debug)]
pub(crate) struct Backoff {
    policy: RetryPolicy,
    until: Option<Instant>,
    pause: Duration,
}

impl Backoff {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        Self { policy, until: None, pause: FIRST_PAUSE.min(policy.max_pause) }
    }

    /// The pause before the next try, or `None` if it would come too late. No pause is cut short: a try right at the end
    /// of the budget helps nobody.
    pub(crate) fn next(&mut self) -> Option<Duration> {
        self.next_at(Instant::now())
    }

    fn next_at(&mut self, now: Instant) -> Option<Duration> {
        if self.policy.budget.is_zero() {
            return None;
        }
        let until = *self.until.get_or_insert_with(|| now + self.policy.budget.min(FAR));
        let until = self.policy.deadline.map_or(until, |deadline| until.min(deadline));
        let pause = with_jitter(self.pause);
        if now + pause > until {
            return None;
        }
        self.pause = (self.pause * 2).min(self.policy.max_pause);
        Some(pause)
    }
}

/// A time that no call lasts, which an `Instant` can still count to.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

fn with_jitter(pause: Duration) -> Duration {
    // The standard library's only source of randomness, and good enough to tell clients apart.
    let random = RandomState::new().hash_one(0_u8);
    let width = JITTER.max(pause / 10);
    let part = width.mul_f64((random % 1024) as f64 / 1024.0);
    (pause + part).saturating_sub(width / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(policy: RetryPolicy) -> Vec<Duration> {
        let mut backoff = Backoff::new(policy);
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        while let Some(pause) = backoff.next_at(now) {
            now += pause;
            pauses.push(pause);
        }
        pauses
    }

    fn policy(budget: u64, max_pause: u64) -> RetryPolicy {
        let millis = Duration::from_millis;
        RetryPolicy { budget: millis(budget), max_pause: millis(max_pause), deadline: None }
    }

    #[test]
    fn pauses_double_up_to_the_cap_and_end_with_the_budget() {
        let found = pauses(policy(3_000, 1_000));
        for (pause, expected) in found.iter().zip([10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1000.0]) {
            let millis = pause.as_secs_f64() * 1e3;
            assert!((millis - expected).abs() <= f64::max(5.0, expected / 20.0), "{millis} for {expected}");
        }
        assert!((8..=9).contains(&found.len()), "{found:?}");
        assert!(found.iter().sum::<Duration>() <= Duration::from_secs(3));
        assert!(pauses(policy(500, 20)).iter().all(|pause| *pause <= Duration::from_millis(25)));
    }

    #[test]
    fn no_budget_means_no_second_try() {
        assert_eq!(pauses(policy(0, 1_000)), []);
        assert_eq!(pauses(policy(2, 1_000)).len(), 0);
    }

    #[test]
    fn endless_budgets_do_not_overflow() {
        let mut backoff = Backoff::new(policy(u64::MAX, u64::MAX));
        assert!(backoff.next().is_some());
        assert!(backoff.next().is_some());
    }

    #[test]
    fn the_deadline_of_the_call_comes_first() {
        let deadline = Instant::now() + Duration::from_millis(100);
        let found = pauses(RetryPolicy { deadline: Some(deadline), ..policy(60_000, 1_000) });
        assert!((2..=5).contains(&found.len()), "{found:?}");
    }

    #[test]
    fn jitter_differs_from_pause_to_pause() {
        let found: Vec<_> = (0..32).map(|_| with_jitter(Duration::from_secs(1))).collect();
        assert!(found.iter().any(|pause| *pause != found[0]));
    }
}
