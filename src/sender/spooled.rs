//! Encoding what is left of a write into the spool instead of a request.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::account::Account;
use super::cut::{Limits, Outlet, Request, cut};
use super::resumable::{Resumable, Settled};
use crate::buffer::{Buffer, NoMemory, Pool};
use crate::encode::Content;
use crate::error::{Cause, Error};
use crate::options::{Create, NullBool, ProtocolVersion, WriteOptions};
use crate::plan::kind::Kind;
use crate::plan::landing::Cast;
use crate::plan::{AtPlan, ColumnPlan, Plan, Role, WireUnit};
use crate::rows::RowSet;
use crate::spool::{Append, Header, MadeColumn, MadeFor, Making, Spool};
use crate::table_spec::TableSpec;

/// How long a buffer is waited for at a time: others of the client's writes may have them all.
const TICK: Duration = Duration::from_millis(50);

/// What keeping the rest of a write needs.
#[derive(Debug)]
pub(crate) struct Keeping<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) pool: &'a Pool,
    pub(crate) max_rows: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_buf_size: usize,
    pub(crate) atomic: bool,
    /// Whether sending the rows twice does no harm.
    pub(crate) repeatable: bool,
    /// Those of the write.
    pub(crate) options: &'a WriteOptions,
}

/// Rows on their way into a spool: what was added is on disk once it is committed, and else none of it.
pub(crate) struct Kept {
    append: Append,
    added: RowSet,
}

impl Kept {
    pub(crate) fn begin(spool: &Arc<Spool>) -> Self {
        Self { append: spool.begin(), added: RowSet::default() }
    }

    /// Adds the rows that are not stored yet.
    ///
    /// # Errors
    /// What is wrong with the rows, or with the spool; [`Error::is_new_schema`] if the rest takes another plan.
    pub(crate) fn add(
        &mut self,
        job: &Keeping<'_>,
        rows: &mut Resumable<'_>,
        account: &mut Account,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let leave_out = account.leave_out().union(&self.added);
        let Settled { set_aside, .. } = account.settled();
        let dealt = account.leave_out();
        let mut outlet = SpoolOutlet { job, kept: self, dealt, set_aside, is_last: false, tick };
        cut(job.plan, rows, &leave_out, limits(job), &mut outlet, &mut account.read)
    }

    /// Tells how many rows were added.
    ///
    /// # Errors
    /// What is wrong with the spool.
    pub(crate) fn commit(self) -> Result<u64, Error> {
        self.append.commit().map_err(|error| Error::of(Cause::Spool(error)))
    }

    /// As [`commit`](Self::commit), of a stream whose other rows could not be added: what was is dealt with by that, since
    /// the stream does not give it again.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn commit_part(self, account: &mut Account) -> Result<u64, Error> {
        let Self { append, added } = self;
        let kept = append.commit_part().map_err(|error| Error::of(Cause::Spool(error)))?;
        added.into_ranges().into_iter().for_each(|rows| account.nothing_of(rows));
        Ok(kept)
    }
}

fn limits(job: &Keeping<'_>) -> Limits {
    let caps = !job.atomic;
    Limits {
        max_rows: job.max_rows.filter(|_| caps).unwrap_or(u64::MAX),
        max_bytes: job.max_bytes.filter(|_| caps).and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX),
        max_buf_size: job.max_buf_size,
        connections: 1,
        first_rows: u64::MAX,
        atomic: job.atomic,
    }
}

/// What the rows of a plan were made for, the first of which is this row of their frame; `None` if lines do not give
/// them back, or nobody wants them checked.
fn made_for(job: &Keeping<'_>, first_row: Option<u64>) -> Option<MadeFor> {
    let (plan, options) = (job.plan, job.options);
    if options.check == Some(false) {
        return None;
    }
    let planned = plan.columns.iter().filter(|column| column.is_written() || column.role == Role::Skipped);
    let planned = planned.filter_map(|column| Some((column, column.column_type.as_ref()?.to_string())));
    let column = |(column, column_type): (&ColumnPlan, String)| {
        let content = Content::of(column, plan.version)?;
        let is_from_another = match column.cast {
            Cast::Boolean | Cast::Hex | Cast::Float => true,
            Cast::Integer => matches!(column.kind, Kind::Float { .. } | Kind::Decimal { .. }),
            Cast::Keep | Cast::Text { .. } | Cast::WholeDecimal | Cast::Array => false,
        };
        // Nulls have become false.
        let has_false = content == Content::Boolean && column.nullable && plan.null_bool == NullBool::False;
        let is_bound = is_from_another || has_false;
        Some(MadeColumn { name: column.name.text().to_owned(), column_type, content, is_bound })
    };
    let time = match plan.at {
        AtPlan::Column { unit: WireUnit::Micros, .. } if plan.version > ProtocolVersion::V1 => Content::Micros,
        _ => Content::Nanos,
    };
    Some(MadeFor {
        columns: planned.map(column).collect::<Option<_>>()?,
        designated: plan.designated.as_ref().map(|(name, column_type)| (name.clone(), column_type.to_string())),
        at: plan.at().map(|name| (name.to_owned(), time)),
        create: match &options.create {
            Create::Auto => Making::Statement(TableSpec::new()),
            Create::Table(spec) => Making::Statement(spec.clone()),
            Create::Server => Making::Server,
            Create::Never => Making::Never,
        },
        null_bool: plan.null_bool,
        first_row,
    })
}

struct SpoolOutlet<'a> {
    job: &'a Keeping<'a>,
    kept: &'a mut Kept,
    /// Rows that are dealt with otherwise, and which of them another write may ask for.
    dealt: RowSet,
    set_aside: RowSet,
    /// Whether the reading has ended, and only what was read is still to come.
    is_last: bool,
    tick: &'a mut dyn FnMut() -> ControlFlow<()>,
}

impl Outlet for SpoolOutlet<'_> {
    fn acquire(&mut self) -> Result<Buffer, Error> {
        let asked = Instant::now();
        loop {
            if !self.is_last {
                self.poll()?;
            }
            let acquired = self.job.pool.acquire_within(TICK, asked, true);
            if let Some(buffer) = acquired.map_err(|NoMemory(bytes)| Error::of(Cause::NoMemory(bytes)))? {
                return Ok(buffer);
            }
        }
    }

    fn submit(&mut self, request: Request) -> Result<(), Error> {
        let Request { buffer, rows, skipped, at } = request;
        if buffer.len() == 0 {
            self.kept.added.insert(rows);
            return Ok(());
        }
        let plan = self.job.plan;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let header = Header {
            table: plan.table().to_owned(),
            protocol_version: plan.version,
            rows: rows.end - rows.start - skipped.len() as u64,
            at,
            statements: plan.statements().to_vec(),
            repeatable: self.job.repeatable,
            written_at_micros: u64::try_from(now.as_micros()).unwrap_or(u64::MAX),
            made_for: made_for(self.job, skipped.is_empty().then_some(rows.start)),
        };
        let added = self.kept.append.add(header, buffer.filled());
        added.map_err(|error| Error::of(Cause::Spool(error)).with_table(plan.table()))?;
        self.kept.added.insert(rows);
        Ok(())
    }

    fn buffer_size(&self) -> usize {
        self.job.pool.buffer_size()
    }

    /// What was added is not asked for again, but by an atomic write that has to begin anew.
    fn settled(&self) -> Settled {
        if self.job.atomic {
            return Settled::up_to(0);
        }
        let up_to = self.dealt.union(&self.kept.added).first_missing();
        Settled { up_to, set_aside: self.set_aside.clone() }
    }

    fn poll(&mut self) -> Result<(), Error> {
        match (self.tick)() {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::interrupted()),
        }
    }

    fn takes_the_last(&mut self) -> bool {
        self.is_last = true;
        true
    }
}
