//! One write to one server: encodes on the caller's thread, sends beside it, and keeps the books.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Progress;
use super::account::{Account, Failure, Reason};
use super::cut::{Limits, Outlet, Request, cut};
use super::flight::{Flight, Manifest, Route};
use super::quarantine::Rejections;
use super::resumable::{Resumable, Settled};
use crate::buffer::{Buffer, NoMemory, Pool};
use crate::error::{Cause, Error, Problem};
use crate::plan::{AtPlan, Plan};
use crate::transport::{HttpTransport, Repeat, RetryPolicy, Runtime, TcpTransport, Terms, Undelivered};

/// How long the caller's thread waits before it looks whether the caller wants to stop.
const TICK: Duration = Duration::from_millis(50);

/// Rows of a first request that goes alone.
const ALONE_ROWS: u64 = 1_000;

/// What one write needs of its client.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) runtime: &'a Runtime,
    pub(crate) way: Way<'a>,
    pub(crate) pool: &'a Pool,
    pub(crate) max_rows: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_buf_size: usize,
    /// All rows in one request, or none.
    pub(crate) atomic: bool,
    /// When the whole call must have ended, and how long that is.
    pub(crate) deadline: Option<(Instant, Duration)>,
}

/// How the rows go to the server.
#[derive(Debug)]
pub(crate) enum Way<'a> {
    /// In requests that are answered.
    Http(Requests<'a>),
    /// In a stream that is not.
    Tcp(&'a TcpTransport),
}

/// How requests are sent over HTTP.
#[derive(Debug)]
pub(crate) struct Requests<'a> {
    pub(crate) transport: &'a HttpTransport,
    pub(crate) connections: usize,
    pub(crate) ordered: bool,
    /// The first request, a small one, goes alone: it makes the table.
    pub(crate) first_alone: bool,
    pub(crate) retry: RetryPolicy,
    /// Whether the server takes compressed lines.
    pub(crate) takes_gzip: bool,
    /// Whether requests that may have been stored are sent again whatever the table.
    pub(crate) retry_in_doubt: bool,
    /// Whether there are other servers to turn to.
    pub(crate) has_others: bool,
    /// Set where refused rows are set aside.
    pub(crate) rejections: Option<Arc<Rejections>>,
}

impl Way<'_> {
    fn requests(&self) -> Option<&Requests<'_>> {
        match self {
            Self::Http(requests) => Some(requests),
            Self::Tcp(_) => None,
        }
    }

    /// Begins to send; the requests are still to come.
    fn start(&self, plan: &Plan, runtime: &Runtime) -> Flight {
        let requests = match self {
            Self::Http(requests) => requests,
            Self::Tcp(transport) => return Flight::stream(runtime, (*transport).clone()),
        };
        let route = |stop| Route {
            transport: requests.transport.clone(),
            terms: Terms {
                retry: requests.retry,
                repeat: if plan.is_repeatable() || requests.retry_in_doubt { Repeat::InDoubt } else { Repeat::Clean },
                deduplicated: plan.is_repeatable(),
                has_others: requests.has_others,
                stop,
            },
            takes_gzip: requests.takes_gzip,
            rejections: requests.rejections.clone(),
        };
        Flight::start(runtime, route, requests.connections, requests.ordered, requests.first_alone)
    }
}

/// Why a server did not take the rest of a write.
#[derive(Debug)]
pub(crate) struct Halt {
    pub(crate) error: Error,
    /// Whether another server may take it.
    pub(crate) is_movable: bool,
}

impl Halt {
    fn ends(error: Error) -> Self {
        Self { error, is_movable: false }
    }
}

/// Writes what is left of `feed`, and waits until every request is settled.
///
/// # Errors
/// Why it stopped before the end; `account` has what became of the rows.
pub(crate) fn write(
    job: &Job<'_>,
    feed: &mut Resumable<'_>,
    account: &mut Account,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(), Halt> {
    let plan = job.plan;
    let caps = !job.atomic;
    let requests = job.way.requests();
    let limits = Limits {
        max_rows: job.max_rows.filter(|_| caps).unwrap_or(u64::MAX),
        max_bytes: job.max_bytes.filter(|_| caps).and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX),
        max_buf_size: job.max_buf_size,
        connections: requests.map_or(1, |requests| requests.connections),
        first_rows: if caps && requests.is_some_and(|requests| requests.first_alone) { ALONE_ROWS } else { u64::MAX },
        atomic: job.atomic,
    };
    let leave_out = account.leave_out();
    let mut read = std::mem::take(&mut account.read);
    let mut outlet = FlightOutlet {
        pool: job.pool,
        flight: job.way.start(plan, job.runtime),
        // Constant instants order nothing: any two requests meet.
        at: match plan.at {
            AtPlan::Constant { .. } => Some((0, 0)),
            _ => None,
        },
        deadline: job.deadline,
        submitted: 0,
        settled: 0,
        failure: None,
        stopped: None,
        account,
        progress,
    };
    let encoded = cut(plan, feed, &leave_out, limits, &mut outlet, &mut read);
    let (failure, stopped) = outlet.finish();
    account.read = read;
    // What the stream said comes again where something else is told first.
    let encoded = match encoded {
        Err(error) if failure.is_some() || stopped.is_some() => {
            error.into_unread().into_iter().for_each(|error| feed.give_back(error));
            Ok(())
        }
        encoded => encoded,
    };

    match (failure, stopped, encoded) {
        (None, None, Ok(())) => Ok(()),
        // What the caller wants comes first, then what the server said: encoding mostly stopped because of these.
        (_, Some(cause), _) => Err(Halt::ends(Error::of(cause).with_table(plan.table()))),
        (Some(Failure { manifest, reason }), None, _) => Err(match reason {
            Reason::TooMany(error) => Halt::ends(error.with_table(plan.table())),
            Reason::Undelivered(failure) => Halt {
                is_movable: failure.is_movable && requests.is_some_and(|requests| requests.has_others),
                error: undelivered(failure, &manifest).with_table(plan.table()),
            },
        }),
        (None, None, Err(error)) => Err(Halt::ends(error.with_table(plan.table()))),
    }
}

/// The error of a request, at the frame's row and column that the server's words point to.
fn undelivered(failure: Undelivered, manifest: &Manifest) -> Error {
    let Undelivered { error, tries, .. } = failure;
    let row = error.line().and_then(|line| manifest.row_of_line(line));
    let column = error.column().map(str::to_owned);
    let mut problem = Problem::new(error).tries(tries.retries + 1, tries.elapsed);
    if let Some(row) = row {
        problem = problem.with_row(row);
    }
    if let Some(column) = column {
        problem = problem.with_column(column);
    }
    Error::new(problem)
}

struct FlightOutlet<'a> {
    pool: &'a Pool,
    flight: Flight,
    at: Option<(i64, i64)>,
    deadline: Option<(Instant, Duration)>,
    submitted: u64,
    settled: u64,
    /// The failure of the earliest rows.
    failure: Option<Failure>,
    /// Why the caller does not wait any longer.
    stopped: Option<Cause>,
    account: &'a mut Account,
    progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl FlightOutlet<'_> {
    fn settle(&mut self, outcome: super::flight::Outcome) {
        self.settled += 1;
        if let Some(failure) = self.account.settle(outcome) {
            let known = self.failure.as_ref();
            if known.is_none_or(|known| failure.manifest.rows.start < known.manifest.rows.start) {
                self.failure = Some(failure);
            }
        }
    }

    /// Takes in what has happened. An error ends the encoding.
    fn tick(&mut self) -> Result<(), Error> {
        while let Some(outcome) = self.flight.poll() {
            self.settle(outcome);
        }
        if self.stopped.is_none() {
            let is_late = self.deadline.filter(|(deadline, _)| Instant::now() >= *deadline);
            self.stopped = match is_late {
                Some((_, after)) => Some(Cause::Deadline(after)),
                None => (self.progress)(self.account.progress()).is_break().then_some(Cause::Interrupted),
            };
            if self.stopped.is_some() {
                self.flight.stop();
            }
        }
        if self.stopped.is_some() || self.failure.is_some() {
            return Err(Error::interrupted());
        }
        Ok(())
    }

    /// Waits until every request is settled.
    fn finish(mut self) -> (Option<Failure>, Option<Cause>) {
        self.flight.end();
        while self.settled < self.submitted {
            match self.flight.wait(TICK) {
                Ok(Some(outcome)) => self.settle(outcome),
                Ok(None) => {}
                Err(()) => {
                    // A panic, which the background thread has already reported: no success.
                    self.stopped.get_or_insert(Cause::Interrupted);
                    break;
                }
            }
            let _ = self.tick();
        }
        // The last acknowledgements, for a bar that ends full. Who has stopped the write hears no more of it; who stops it
        // now is told that all is stored, by an error like any other stop, unless there is a worse one.
        if self.stopped.is_none() && (self.progress)(self.account.progress()).is_break() && self.failure.is_none() {
            self.stopped = Some(Cause::Interrupted);
        }
        (self.failure, self.stopped)
    }
}

impl Outlet for FlightOutlet<'_> {
    fn acquire(&mut self) -> Result<Buffer, Error> {
        let asked = Instant::now();
        loop {
            self.tick()?;
            // A request of its own gives its buffer back.
            let is_alone = self.settled == self.submitted;
            let acquired = self.pool.acquire_within(TICK, asked, is_alone);
            if let Some(buffer) = acquired.map_err(|NoMemory(bytes)| Error::of(Cause::NoMemory(bytes)))? {
                return Ok(buffer);
            }
        }
    }

    fn acquire_place(&mut self) -> Result<Option<Buffer>, Error> {
        self.acquire().map(Some)
    }

    fn submit(&mut self, request: Request) -> Result<(), Error> {
        let Request { buffer, rows, skipped, at } = request;
        if buffer.len() == 0 {
            // All rows were left out; there is nothing to acknowledge.
            self.account.nothing_of(rows);
            return Ok(());
        }
        // Reading a stream may have taken long: what is not wanted any more is not sent.
        self.tick()?;
        let manifest = Manifest { rows, skipped, bytes: buffer.len() as u64, at: self.at.or(at) };
        self.submitted += 1;
        self.flight.send(manifest, buffer.into_bytes());
        self.tick()
    }

    fn poll(&mut self) -> Result<(), Error> {
        self.tick()
    }

    fn buffer_size(&self) -> usize {
        self.pool.buffer_size()
    }

    fn settled(&self) -> Settled {
        self.account.settled()
    }
}
