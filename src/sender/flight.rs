//! Requests in flight, under the order rule.
//!
//! Why it is hard: the server's log follows the order of commits, not of sending. So a request does not leave while an
//! unresolved one of the same frame has timestamps that meet its own, ends included: then the last row of a key wins
//! under deduplication, and equal timestamps keep the frame's order. Requests whose order the server decides (no
//! timestamps of the caller's) leave one at a time. The queue is strictly in row order: the head waits, and nothing
//! overtakes it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, mpsc as std_mpsc};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};

use super::quarantine::{Rejections, Sorted, sort_out};
use super::stream::Stream;
use crate::encode::AtRange;
use crate::transport::{Body, Delivered, HttpTransport, Runtime, TcpTransport, Terms, deliver};

/// A request without its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) rows: Range<u64>,
    pub(crate) skipped: Vec<u64>,
    pub(crate) bytes: u64,
    pub(crate) at: Option<AtRange>,
}

impl Manifest {
    /// How many lines it has.
    pub(super) fn lines(&self) -> u64 {
        (self.rows.end - self.rows.start).saturating_sub(self.skipped.len() as u64)
    }

    /// The frame's row of a line of the request, counted from 1; rows left out have no line.
    pub(super) fn row_of_line(&self, line: u64) -> Option<u64> {
        let mut row = self.rows.start.checked_add(line.checked_sub(1)?)?;
        for skipped in &self.skipped {
            if *skipped <= row {
                row += 1;
            }
        }
        self.rows.contains(&row).then_some(row)
    }
}

/// What the caller's thread hears of a request: what became of its rows. Those in none of the sets were not stored.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) manifest: Manifest,
    pub(super) sorted: Sorted,
    /// The most requests that have been in flight at once so far.
    pub(super) in_flight: usize,
}

/// How requests are sent.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) transport: HttpTransport,
    pub(super) terms: Terms,
    /// Whether the server takes compressed lines.
    pub(super) takes_gzip: bool,
    /// Set where refused rows are set aside.
    pub(super) rejections: Option<Arc<Rejections>>,
}

impl Route {
    async fn send(self, body: Bytes, manifest: Manifest, is_first: bool) -> Sorted {
        let Self { transport, terms, takes_gzip, rejections } = &self;
        if let Some(rejections) = rejections {
            let send = |lines, has_gone: bool| async move {
                let body = if has_gone && *takes_gzip { Body::compressed(lines).await } else { lines.into() };
                deliver(transport, body, terms).await
            };
            return sort_out(&body, &manifest, rejections, is_first, send).await;
        }
        let Delivered { result, tries } = deliver(transport, body, terms).await;
        let mut sorted = Sorted { requests: 1, tries, ..Sorted::default() };
        match result {
            Ok(()) => {
                sorted.bytes = manifest.bytes;
                sorted.acked.insert(manifest.rows);
            }
            Err(failure) => sorted.fail(failure, manifest.rows),
        }
        sorted
    }
}

#[derive(Debug)]
pub(super) enum Order {
    Send(Manifest, Bytes),
    Stop,
    /// No more requests will come.
    End,
}

/// Requests of one write in flight.
#[derive(Debug)]
pub(super) struct Flight {
    /// Dropped with the flight: then no more requests will come.
    orders: mpsc::UnboundedSender<Order>,
    stop: watch::Sender<bool>,
    outcomes: std_mpsc::Receiver<Outcome>,
}

impl Flight {
    /// Over HTTP. `ordered`: keep the order rule. Without it requests leave as soon as a connection is free. `first_alone`: the
    /// others wait until the first has been answered.
    pub(super) fn start(
        runtime: &Runtime,
        route: impl FnOnce(watch::Receiver<bool>) -> Route,
        connections: usize,
        ordered: bool,
        first_alone: bool,
    ) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let (report, outcomes) = std_mpsc::channel();
        let (stop, stopped) = watch::channel(false);
        let route = route(stopped);
        let dispatcher = Dispatcher {
            route,
            connections: connections.max(1),
            ordered,
            first_alone,
            is_first: true,
            waiting: VecDeque::new(),
            flying: Vec::new(),
            tasks: JoinSet::new(),
            report,
            halted: false,
            most: 0,
        };
        runtime.spawn(dispatcher.run(received));
        Self { orders, stop, outcomes }
    }

    /// Over TCP: in one connection, in row order.
    pub(super) fn stream(runtime: &Runtime, transport: TcpTransport) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let (report, outcomes) = std_mpsc::channel();
        let (stop, stopped) = watch::channel(false);
        runtime.spawn(Stream::new(transport, report).run(received, stopped));
        Self { orders, stop, outcomes }
    }

    /// Queues a request; bounded by the pool that its bytes come from.
    pub(super) fn send(&self, manifest: Manifest, body: Bytes) {
        // The dispatcher outlives its orders; were it gone, `wait` would tell.
        let _ = self.orders.send(Order::Send(manifest, body));
    }

    /// Tells that no more requests will come.
    pub(super) fn end(&self) {
        let _ = self.orders.send(Order::End);
    }

    /// Gives up what is in flight and drops what waits; each is still reported.
    pub(super) fn stop(&self) {
        let _ = self.stop.send(true);
        let _ = self.orders.send(Order::Stop);
    }

    /// An outcome that is there already.
    pub(super) fn poll(&self) -> Option<Outcome> {
        self.outcomes.try_recv().ok()
    }

    /// The next outcome: `Ok(None)` if none came in time, `Err` once all have come.
    pub(super) fn wait(&self, timeout: Duration) -> Result<Option<Outcome>, ()> {
        match self.outcomes.recv_timeout(timeout) {
            Ok(outcome) => Ok(Some(outcome)),
            Err(std_mpsc::RecvTimeoutError::Timeout) => Ok(None),
            Err(std_mpsc::RecvTimeoutError::Disconnected) => Err(()),
        }
    }
}

struct Dispatcher {
    route: Route,
    connections: usize,
    ordered: bool,
    first_alone: bool,
    /// Nothing has been sent yet.
    is_first: bool,
    waiting: VecDeque<(Manifest, Bytes)>,
    flying: Vec<(Id, Manifest)>,
    tasks: JoinSet<Sorted>,
    report: std_mpsc::Sender<Outcome>,
    /// Nothing leaves any more: a request failed, or the caller stopped.
    halted: bool,
    most: usize,
}

impl Dispatcher {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut open = true;
        while open || !self.flying.is_empty() || !self.waiting.is_empty() {
            self.launch();
            tokio::select! {
                order = orders.recv(), if open => match order {
                    Some(Order::Send(manifest, body)) => self.waiting.push_back((manifest, body)),
                    Some(Order::Stop) => self.halted = true,
                    // Each request is answered on its own.
                    Some(Order::End) => {}
                    None => open = false,
                },
                Some(done) = self.tasks.join_next_with_id(), if !self.flying.is_empty() => self.land(done),
            }
        }
    }

    /// Sends what may leave, in row order.
    fn launch(&mut self) {
        while !self.waiting.is_empty() {
            if self.halted {
                if let Some((manifest, _)) = self.waiting.pop_front() {
                    // Never left: an earlier one failed, or the caller stopped.
                    self.tell(manifest, Sorted::default());
                }
                continue;
            }
            let blocked = self.waiting.front().is_some_and(|(head, _)| {
                self.flying.len() >= self.connections
                    || (self.first_alone && !self.flying.is_empty())
                    || (self.ordered && self.flying.iter().any(|(_, flying)| meet(flying.at, head.at)))
            });
            if blocked {
                return;
            }
            if let Some((manifest, body)) = self.waiting.pop_front() {
                let task = self.tasks.spawn(self.route.clone().send(body, manifest.clone(), self.is_first));
                self.is_first = false;
                self.flying.push((task.id(), manifest));
                self.most = self.most.max(self.flying.len());
            }
        }
    }

    fn land(&mut self, done: Result<(Id, Sorted), JoinError>) {
        let (id, sorted) = match done {
            Ok((id, sorted)) => (id, Some(sorted)),
            // A panic, which the background thread has already reported.
            Err(error) => (error.id(), None),
        };
        let Some(position) = self.flying.iter().position(|(flying, _)| *flying == id) else { return };
        let (_, manifest) = self.flying.swap_remove(position);
        self.first_alone = false;
        let sorted = sorted.unwrap_or_else(|| {
            self.halted = true;
            Sorted { doubtful: manifest.rows.clone().into(), requests: 1, ..Sorted::default() }
        });
        self.halted |= sorted.failure.is_some() || sorted.too_many.is_some();
        self.tell(manifest, sorted);
    }

    fn tell(&self, manifest: Manifest, sorted: Sorted) {
        // The caller may have gone after an error of its own; then nobody needs to know.
        let _ = self.report.send(Outcome { manifest, sorted, in_flight: self.most });
    }
}

/// Whether the order of two requests matters: their timestamps meet, ends included, or are the server's.
fn meet(a: Option<AtRange>, b: Option<AtRange>) -> bool {
    match (a, b) {
        (Some((a_min, a_max)), Some((b_min, b_max))) => a_min <= b_max && b_min <= a_max,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::meet;

    #[test]
    fn ranges_meet_at_their_ends() {
        assert!(meet(Some((0, 5)), Some((5, 9))));
        assert!(meet(Some((5, 9)), Some((0, 5))));
        assert!(meet(Some((0, 9)), Some((3, 4))));
        assert!(!meet(Some((0, 5)), Some((6, 9))));
        assert!(meet(None, Some((6, 9))));
        assert!(meet(None, None));
    }
}
