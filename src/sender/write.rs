//! One write: encodes on the caller's thread, sends beside it, and accounts for every row.

use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use super::Progress;
use super::cut::{Limits, Outlet, Read, Request, cut};
use super::flight::{Flight, Manifest, Outcome, Settled};
use crate::buffer::{Buffer, Pool};
use crate::error::{Delivery, Error, Problem};
use crate::frontend::Source;
use crate::plan::{AtPlan, Origin, Plan, Role};
use crate::report::{ColumnReport, WriteReport};
use crate::transport::{Certainty, HttpTransport, Runtime, TransportError};

/// How long the caller's thread waits before it looks whether the caller wants to stop.
const TICK: Duration = Duration::from_millis(50);

/// Rows of a first request that goes alone.
const ALONE_ROWS: u64 = 1_000;

/// What one write needs of its client.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) runtime: &'a Runtime,
    pub(crate) transport: &'a HttpTransport,
    pub(crate) pool: &'a Pool,
    pub(crate) connections: usize,
    pub(crate) ordered: bool,
    pub(crate) max_rows: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_buf_size: usize,
    pub(crate) started: Instant,
    /// The first request, a small one, goes alone: it makes the table.
    pub(crate) first_alone: bool,
    /// Whether the table has just been created.
    pub(crate) created: bool,
    /// Remarks for the report.
    pub(crate) notes: Vec<String>,
}

/// Writes `source` and waits until every request is resolved.
///
/// # Errors
/// With the rows that were stored, are in doubt, and were not stored, once a byte has been sent.
pub(crate) fn write(
    job: &Job<'_>,
    source: Source<'_>,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<WriteReport, Error> {
    let plan = job.plan;
    let total_rows = source.rows();
    let limits = Limits {
        max_rows: job.max_rows.unwrap_or(u64::MAX),
        max_bytes: job.max_bytes.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX),
        max_buf_size: job.max_buf_size,
        connections: job.connections,
        first_rows: if job.first_alone { ALONE_ROWS } else { u64::MAX },
    };
    let mut account = Account::new(total_rows);
    let mut outlet = FlightOutlet {
        pool: job.pool,
        flight: Flight::start(job.runtime, job.transport.clone(), job.connections, job.ordered, job.first_alone),
        // Constant instants order nothing: any two requests meet.
        at: match plan.at {
            AtPlan::Constant { .. } => Some((0, 0)),
            _ => None,
        },
        account: &mut account,
        progress,
    };
    let mut read = Read::default();
    let encoded = cut(plan, source, limits, &mut outlet, &mut read);
    let settled = outlet.finish();

    let nothing_sent = account.requests == 0;
    match (account.failure.take(), encoded, settled) {
        (None, Ok(()), Ok(())) => {
            debug_assert_eq!(account.rows + read.skipped, read.rows, "a row went missing");
            Ok(account.report(job, &read))
        }
        (failure, encoded, settled) => {
            // What the server said comes first: encoding only stopped because of it.
            let error = match failure {
                Some((error, manifest)) => transport_error(error, &manifest),
                None => encoded.err().or(settled.err()).unwrap_or_else(Error::interrupted),
            };
            let error = error.with_table(plan.table());
            if nothing_sent && !error.is_transport() {
                return Err(error);
            }
            let seen = total_rows.unwrap_or(read.seen);
            Err(error.with_delivery(account.delivery(seen)))
        }
    }
}

/// The error of a request, at the frame's row and column that the server's words point to.
fn transport_error(error: TransportError, manifest: &Manifest) -> Error {
    let row = error.line().and_then(|line| row_of_line(manifest, line));
    let column = error.column().map(str::to_owned);
    let mut problem = Problem::new(error);
    if let Some(row) = row {
        problem = problem.row(row);
    }
    if let Some(column) = column {
        problem = problem.column(column);
    }
    Error::new(problem)
}

/// The frame's row of a request's line, counted from 1; rows left out have no line.
fn row_of_line(manifest: &Manifest, line: u64) -> Option<u64> {
    let mut row = manifest.rows.start.checked_add(line.checked_sub(1)?)?;
    for skipped in &manifest.skipped {
        if *skipped <= row {
            row += 1;
        }
    }
    manifest.rows.contains(&row).then_some(row)
}

/// What became of the rows.
#[derive(Debug)]
struct Account {
    total_rows: Option<u64>,
    acked: Vec<Range<u64>>,
    doubtful: Vec<Range<u64>>,
    rows: u64,
    bytes: u64,
    requests: u64,
    settled: u64,
    in_flight: usize,
    /// The failure of the earliest rows.
    failure: Option<(TransportError, Manifest)>,
    stopped: bool,
}

impl Account {
    fn new(total_rows: Option<u64>) -> Self {
        Self {
            total_rows,
            acked: Vec::new(),
            doubtful: Vec::new(),
            rows: 0,
            bytes: 0,
            requests: 0,
            settled: 0,
            in_flight: 0,
            failure: None,
            stopped: false,
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        let Outcome { manifest, settled, in_flight } = outcome;
        self.settled += 1;
        self.in_flight = self.in_flight.max(in_flight);
        match settled {
            Settled::Acked => {
                self.rows += manifest.rows.end - manifest.rows.start - manifest.skipped.len() as u64;
                self.bytes += manifest.bytes;
                self.acked.push(manifest.rows);
            }
            Settled::Failed(error) => {
                if error.certainty() == Certainty::Ambiguous {
                    self.doubtful.push(manifest.rows.clone());
                }
                let earlier = self.failure.as_ref().is_none_or(|(_, known)| manifest.rows.start < known.rows.start);
                if earlier {
                    self.failure = Some((error, manifest));
                }
            }
            Settled::Abandoned => self.doubtful.push(manifest.rows),
            // Whatever is neither acknowledged nor in doubt counts as not stored.
            Settled::Unsent => {}
        }
    }

    /// The three sets, over the first `seen` rows of the frame.
    fn delivery(&self, seen: u64) -> Delivery {
        let acked = joined(self.acked.clone());
        let doubtful = joined(self.doubtful.clone());
        let mut known = [acked.clone(), doubtful.clone()].concat();
        known.sort_by_key(|range| range.start);
        let mut unsent = Vec::new();
        let mut next = 0;
        for range in known {
            if range.start > next {
                unsent.push(next..range.start);
            }
            next = next.max(range.end);
        }
        if seen > next {
            unsent.push(next..seen);
        }
        Delivery { acked, doubtful, unsent }
    }

    fn report(&self, job: &Job<'_>, read: &Read) -> WriteReport {
        let plan = job.plan;
        let counted = plan.columns.iter().zip(read.nulls.iter().zip(&read.lost));
        let columns = counted
            .filter(|(column, _)| column.is_listed)
            .map(|(column, (nulls, lost))| {
                let described = plan.describe(column);
                let is_skipped = column.role == Role::Skipped;
                ColumnReport {
                    name: described.name,
                    questdb_type: described.questdb_type,
                    role: described.role,
                    nulls: if is_skipped { 0 } else { *nulls },
                    read_null: if is_skipped { 0 } else { *nulls + *lost },
                }
            })
            .collect();
        WriteReport {
            table: plan.table().to_owned(),
            at: plan.at().map(str::to_owned),
            rows: self.rows,
            skipped_rows: read.skipped,
            bytes: self.bytes,
            requests: self.requests,
            retries: 0,
            elapsed: job.started.elapsed(),
            protocol_version: plan.version,
            created: job.created || (plan.origin == Origin::Server && self.rows > 0),
            notes: job.notes.clone(),
            columns,
            in_flight: self.in_flight,
        }
    }

    fn progress(&self) -> Progress {
        Progress { rows: self.rows, total_rows: self.total_rows, bytes: self.bytes }
    }
}

/// Ranges in order, neighbours joined.
fn joined(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

struct FlightOutlet<'a> {
    pool: &'a Pool,
    flight: Flight,
    at: Option<(i64, i64)>,
    account: &'a mut Account,
    progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl FlightOutlet<'_> {
    /// Takes in what has happened. An error ends the encoding.
    fn tick(&mut self) -> Result<(), Error> {
        while let Some(outcome) = self.flight.poll() {
            self.account.settle(outcome);
        }
        if !self.account.stopped && (self.progress)(self.account.progress()).is_break() {
            self.account.stopped = true;
            self.flight.stop();
        }
        if self.account.stopped || self.account.failure.is_some() {
            return Err(Error::interrupted());
        }
        Ok(())
    }

    /// Waits until every request is resolved.
    fn finish(mut self) -> Result<(), Error> {
        let mut result = Ok(());
        while self.account.settled < self.account.requests {
            match self.flight.wait(TICK) {
                Ok(Some(outcome)) => self.account.settle(outcome),
                Ok(None) => {}
                Err(()) => break,
            }
            if let Err(error) = self.tick()
                && self.account.stopped
            {
                result = Err(error);
            }
        }
        // The last acknowledgements, for a bar that ends full.
        let _ = (self.progress)(self.account.progress());
        result
    }
}

impl Outlet for FlightOutlet<'_> {
    fn acquire(&mut self) -> Result<Buffer, Error> {
        loop {
            self.tick()?;
            if let Some(buffer) = self.pool.acquire(TICK) {
                return Ok(buffer);
            }
        }
    }

    fn submit(&mut self, request: Request) -> Result<(), Error> {
        let Request { buffer, rows, skipped, at } = request;
        if buffer.len() == 0 {
            // All rows were left out; there is nothing to acknowledge.
            return Ok(());
        }
        let manifest = Manifest { rows, skipped, bytes: buffer.len() as u64, at: self.at.or(at) };
        self.account.requests += 1;
        self.flight.send(manifest, buffer.into_bytes());
        self.tick()
    }

    fn buffer_size(&self) -> usize {
        self.pool.buffer_size()
    }
}
