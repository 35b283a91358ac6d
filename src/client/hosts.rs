//! The servers of a client, and which of them it talks to.
//!
//! One is used as long as it is well. When it is not, the next one is asked, at once; when none is left that has not
//! been tried, there is a pause, longer each time, until the budget for retries is used up.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::tables::Tables;
use crate::config::Config;
use crate::transport::{Backoff, HttpTransport, RetryPolicy, ServerInfo, TransportError};

/// A server, and what is known of it.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) address: String,
    pub(super) transport: HttpTransport,
    pub(super) server: OnceLock<ServerInfo>,
    pub(super) tables: Tables,
    /// Whether it has ever answered.
    reached: AtomicBool,
}

impl Host {
    /// Notes that the server is there.
    pub(super) fn is_reached(&self) {
        self.reached.store(true, Ordering::Relaxed);
    }
}

/// All servers of a client.
#[derive(Debug)]
pub(super) struct Hosts {
    hosts: Vec<Host>,
    current: AtomicUsize,
}

impl Hosts {
    /// The servers of a configuration. Nothing connects.
    pub(super) fn new(config: &Config) -> Result<Self, TransportError> {
        let host = |address: String| {
            Ok(Host {
                transport: HttpTransport::new(config, &address)?,
                address,
                server: OnceLock::new(),
                tables: Tables::default(),
                reached: AtomicBool::new(false),
            })
        };
        let hosts = config.addresses().into_iter().map(host).collect::<Result<Vec<_>, TransportError>>()?;
        Ok(Self { hosts, current: AtomicUsize::new(0) })
    }

    /// The server in use.
    pub(super) fn current(&self) -> &Host {
        &self.hosts[self.current.load(Ordering::Relaxed) % self.hosts.len()]
    }

    /// Whether there is more than one.
    pub(super) fn are_several(&self) -> bool {
        self.hosts.len() > 1
    }

    /// Turns away from a server, unless another thread has done so already.
    fn leave(&self, host: &Host) {
        let Some(place) = self.hosts.iter().position(|other| std::ptr::eq(other, host)) else { return };
        let next = (place + 1) % self.hosts.len();
        let _ = self.current.compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// One call's way from server to server.
#[derive(Debug)]
pub(super) struct Tour {
    policy: RetryPolicy,
    backoff: Option<Backoff>,
    /// The budget while no server has answered yet.
    first_contact: Duration,
    /// Servers that failed since the last pause, and whether one of them may do better after it.
    failed: usize,
    passing: bool,
    /// Since the first failure.
    since: Option<Instant>,
    tries: u64,
}

impl Tour {
    pub(super) fn new(config: &Config, deadline: Option<Instant>) -> Self {
        let policy = RetryPolicy { budget: config.retry_timeout(), max_pause: config.retry_max_backoff(), deadline };
        let first_contact = config.first_contact_timeout();
        Self { policy, backoff: None, first_contact, failed: 0, passing: false, since: None, tries: 1 }
    }

    /// For what is tried once, at every server.
    pub(super) fn once(config: &Config) -> Self {
        let mut tour = Self::new(config, None);
        (tour.policy.budget, tour.first_contact) = (Duration::ZERO, Duration::ZERO);
        tour
    }

    pub(super) fn policy(&self) -> RetryPolicy {
        self.policy
    }

    /// How often something was tried, and for how long.
    pub(super) fn tries(&self) -> (u64, Duration) {
        (self.tries, self.since.map_or(Duration::ZERO, |since| since.elapsed()))
    }

    /// Turns to the next server after a failure of this one: the pause before it is to be tried, or `None` if the call
    /// is to end with the failure.
    pub(super) fn next(&mut self, hosts: &Hosts, host: &Host, error: &TransportError) -> Option<Duration> {
        self.since.get_or_insert_with(Instant::now);
        if !error.is_of_the_server() {
            return None;
        }
        hosts.leave(host);
        self.failed += 1;
        self.passing |= error.is_passing();
        let pause = if self.failed < hosts.hosts.len() {
            Duration::ZERO
        } else {
            if !std::mem::take(&mut self.passing) {
                return None;
            }
            self.failed = 0;
            // A server that was never there may be a wrong address, which should be told soon.
            let is_new = hosts.hosts.iter().all(|host| !host.reached.load(Ordering::Relaxed));
            let budget = if is_new { self.first_contact } else { self.policy.budget };
            self.backoff.get_or_insert_with(|| Backoff::new(RetryPolicy { budget, ..self.policy })).next()?
        };
        self.tries += 1;
        Some(pause)
    }

    /// Begins anew, once a server has taken something.
    pub(super) fn succeeded(&mut self) {
        (self.backoff, self.failed, self.passing, self.since, self.tries) = (None, 0, false, None, 1);
    }
}
