//! What became of the rows of a write, over all the servers it went to.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::{RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema};

use super::Progress;
use super::cut::Read;
use super::flight::{Manifest, Outcome};
use super::quarantine::Rejected;
use super::resumable::{Resumable, Settled};
use crate::error::{Cause, Delivery, Error, Problem};
use crate::plan::{Origin, Plan, Role};
use crate::report::{ColumnReport, WriteReport};
use crate::rows::RowSet;
use crate::transport::{Certainty, Tries, Undelivered};

/// The books of one write.
#[derive(Debug)]
pub(crate) struct Account {
    started: Instant,
    total_rows: Option<u64>,
    /// Rows that are not for this write: an earlier one stored them, or they are to be left in doubt.
    before: Before,
    acked: RowSet,
    doubtful: RowSet,
    pub(super) rejected: Vec<Rejected>,
    rejected_rows: RowSet,
    bytes: u64,
    requests: u64,
    has_sent: bool,
    tries: Tries,
    /// Requests that failed since rows were last turned to a server, and how many of them may have been stored.
    failed: (u64, u64),
    in_flight: usize,
    pub(super) read: Read,
}

/// Rows that an earlier write has dealt with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before {
    pub(crate) acked: RowSet,
    pub(crate) doubtful: RowSet,
}

/// Why a part of a write ended early.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) manifest: Manifest,
    pub(super) reason: Reason,
}

#[derive(Debug)]
pub(super) enum Reason {
    Undelivered(Undelivered),
    TooMany(Error),
}

impl Account {
    pub(crate) fn new(started: Instant, total_rows: Option<u64>, before: Before) -> Self {
        Self {
            started,
            total_rows,
            before,
            acked: RowSet::default(),
            doubtful: RowSet::default(),
            rejected: Vec::new(),
            rejected_rows: RowSet::default(),
            bytes: 0,
            requests: 0,
            has_sent: false,
            tries: Tries::default(),
            failed: (0, 0),
            in_flight: 0,
            read: Read::default(),
        }
    }

    /// Takes a request's outcome in, and gives why it failed if it did.
    pub(super) fn settle(&mut self, outcome: Outcome) -> Option<Failure> {
        let Outcome { manifest, sorted, in_flight } = outcome;
        self.in_flight = self.in_flight.max(in_flight);
        self.bytes += sorted.bytes;
        self.requests += sorted.requests;
        self.has_sent |= sorted.requests > 0;
        self.tries.add(sorted.tries);
        self.acked = self.acked.union(&sorted.acked);
        self.doubtful = self.doubtful.union(&sorted.doubtful);
        let too_many = sorted.too_many.and_then(|found| self.too_many(&sorted.rejected, found));
        for rejected in sorted.rejected {
            self.rejected_rows.insert(rejected.row..rejected.row + 1);
            self.rejected.push(rejected);
        }
        match (too_many, sorted.failure) {
            (Some(error), _) => Some(Failure { manifest, reason: Reason::TooMany(error) }),
            (None, Some(failure)) => {
                self.failed.0 += 1;
                self.failed.1 += u64::from(failure.certainty == Certainty::Ambiguous);
                Some(Failure { manifest, reason: Reason::Undelivered(failure) })
            }
            (None, None) => None,
        }
    }

    fn too_many(&self, latest: &[Rejected], (rejected, reached): (u64, u64)) -> Option<Error> {
        let all = || self.rejected.iter().chain(latest);
        let first = all().min_by_key(|rejected| rejected.row)?;
        let mut problem = Problem::new(Cause::TooManyRejected { rejected, reached, first: first.error.to_string() });
        problem = problem.with_row(first.row);
        if let Some(column) = first.error.column() {
            problem = problem.with_column(column);
        }
        Some(Error::new(problem))
    }

    /// Rows that are not to be sent (any more).
    pub(crate) fn leave_out(&self) -> RowSet {
        let before = self.before.acked.union(&self.before.doubtful);
        before.union(&self.acked).union(&self.rejected_rows)
    }

    /// Counts rows as dealt with of which nothing was to be sent.
    pub(super) fn nothing_of(&mut self, rows: std::ops::Range<u64>) {
        self.acked.insert(rows);
    }

    /// The rows that this write does not send (again). Of those another may send what it was refused, or did not hear of.
    pub(super) fn settled(&self) -> Settled {
        let doubtful = self.before.doubtful.minus(&self.before.acked).minus(&self.acked);
        Settled { up_to: self.leave_out().first_missing(), set_aside: doubtful.union(&self.rejected_rows) }
    }

    /// Whether rows of this write may have been stored without an acknowledgement.
    pub(crate) fn is_in_doubt(&self) -> bool {
        !self.doubtful.minus(&self.acked).is_empty()
    }

    /// Whether a request has left at all.
    pub(crate) fn has_sent(&self) -> bool {
        self.has_sent
    }

    /// Counts what failed at a server as sent again, since its rows go to the next now.
    pub(crate) fn goes_on_elsewhere(&mut self) {
        let (failed, in_doubt) = std::mem::take(&mut self.failed);
        self.tries.retries += failed;
        self.tries.in_doubt += in_doubt;
        self.requests = self.requests.saturating_sub(failed);
    }

    /// The three sets, over all the rows that were seen.
    pub(crate) fn delivery(&self, seen: u64) -> Delivery {
        let acked = self.before.acked.union(&self.acked);
        let doubtful = self.before.doubtful.union(&self.doubtful).minus(&acked).minus(&self.rejected_rows);
        let known = acked.union(&doubtful);
        let unsent = known.missing(0..self.total_rows.unwrap_or(seen).max(known.end()));
        Delivery { acked: acked.into_ranges(), doubtful: doubtful.into_ranges(), unsent, table: None }
    }

    /// The rows that were stored by this write, without those that had no line.
    fn rows(&self) -> u64 {
        self.acked.minus(&self.read.skipped).rows()
    }

    /// Whether rows of this write had values in the frame's column of this index.
    pub(crate) fn has_values(&self, index: usize) -> bool {
        self.read.nulls.get(index).is_none_or(|nulls| *nulls < self.acked.rows())
    }

    pub(crate) fn progress(&self) -> Progress {
        Progress { rows: self.rows(), total_rows: self.total_rows, bytes: self.bytes }
    }

    /// The rows that were set aside, with the reasons.
    ///
    /// # Errors
    /// If the frame cannot be read again.
    pub(crate) fn rejected_rows(&self, feed: &Resumable<'_>) -> Result<Option<RecordBatch>, Error> {
        if self.rejected.is_empty() {
            return Ok(None);
        }
        let mut rejected: Vec<&Rejected> = self.rejected.iter().collect();
        rejected.sort_by_key(|rejected| rejected.row);
        let rows: Vec<u64> = rejected.iter().map(|rejected| rejected.row).collect();
        let picked = feed.pick(&rows).map_err(Error::source)?;
        let reasons = rejected.iter().map(|rejected| rejected.error.short_message().unwrap_or_default());
        let mut fields = picked.schema().fields().to_vec();
        let name = |name: &str| {
            let mut name = name.to_owned();
            while picked.schema().fields().iter().any(|field| field.name() == &name) {
                name.push('_');
            }
            name
        };
        fields.push(Arc::new(Field::new(name("rejected_row"), DataType::UInt64, false)));
        fields.push(Arc::new(Field::new(name("rejected_reason"), DataType::Utf8, false)));
        let mut columns = picked.columns().to_vec();
        let reasons: StringArray = reasons.map(Some).collect();
        columns.push(Arc::new(UInt64Array::from(rows)));
        columns.push(Arc::new(reasons));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map(Some).map_err(Error::source)
    }

    /// What the write did, once every row of it is stored or set aside.
    pub(crate) fn report(&self, plan: &Plan, created: bool, notes: Vec<String>) -> WriteReport {
        let read = &self.read;
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
        let rows = self.rows();
        WriteReport {
            table: plan.table().to_owned(),
            at: plan.at().map(str::to_owned),
            rows,
            skipped_rows: read.skipped.rows(),
            bytes: self.bytes,
            requests: self.requests,
            retries: self.tries.retries,
            retries_in_doubt: self.tries.in_doubt,
            elapsed: self.started.elapsed(),
            protocol_version: plan.version,
            created: created || (plan.origin == Origin::Server && rows > 0),
            notes,
            columns,
            in_flight: self.in_flight,
            rejected: None,
            rows_spooled: 0,
        }
    }
}
