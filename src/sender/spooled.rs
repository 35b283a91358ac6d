//! Encoding what is left of a write into the spool instead of a request.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::account::Account;
use super::cut::{Limits, Outlet, Request, cut};
use super::resumable::Resumable;
use crate::buffer::{Buffer, NoMemory, Pool};
use crate::error::{Cause, Error};
use crate::plan::column_type::ColumnType;
use crate::plan::{Origin, Plan};
use crate::spool::{Append, Header, MadeFor, Spool};

/// How long a buffer is waited for at a time: others of the client's writes may have them all.
const TICK: Duration = Duration::from_millis(50);

/// What keeping the rest of a write needs.
#[derive(Debug)]
pub(crate) struct Keeping<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) spool: &'a Arc<Spool>,
    pub(crate) pool: &'a Pool,
    pub(crate) max_rows: Option<u64>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_buf_size: usize,
    pub(crate) atomic: bool,
    /// Whether sending the rows twice does no harm.
    pub(crate) repeatable: bool,
    /// Whether a missing table or column may be made.
    pub(crate) creates: bool,
}

/// Keeps the rows that are not stored yet; all of them are on disk when it returns, or none. Tells how many they are.
///
/// # Errors
/// What is wrong with the rows, or with the spool.
pub(crate) fn keep(job: &Keeping<'_>, rows: &mut Resumable<'_>, account: &mut Account) -> Result<u64, Error> {
    let caps = !job.atomic;
    let limits = Limits {
        max_rows: job.max_rows.filter(|_| caps).unwrap_or(u64::MAX),
        max_bytes: job.max_bytes.filter(|_| caps).and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX),
        max_buf_size: job.max_buf_size,
        connections: 1,
        first_rows: u64::MAX,
        atomic: job.atomic,
    };
    let mut outlet = SpoolOutlet { job, append: job.spool.begin() };
    let leave_out = account.leave_out();
    let cutting = cut(job.plan, rows, &leave_out, limits, &mut outlet, &mut account.read);
    let spooled = |error| Error::of(Cause::Spool(error)).with_table(job.plan.table());
    cutting.and_then(|()| outlet.append.commit().map_err(spooled))
}

/// What has to be so when the rows are sent for them to land as planned.
fn made_for(plan: &Plan, creates: bool) -> MadeFor {
    let columns = plan.columns.iter().filter(|column| column.is_written());
    let text = |column_type: &ColumnType| column_type.to_string();
    MadeFor {
        columns: columns
            .filter_map(|column| Some((column.name.text().to_owned(), text(column.column_type.as_ref()?))))
            .collect(),
        designated: plan.designated.as_ref().map(|(name, column_type)| (name.clone(), text(column_type))),
        at: plan.at().map(ToOwned::to_owned),
        is_seen: plan.origin == Origin::Existing,
        creates,
    }
}

struct SpoolOutlet<'a> {
    job: &'a Keeping<'a>,
    append: Append,
}

impl Outlet for SpoolOutlet<'_> {
    fn acquire(&mut self) -> Result<Buffer, Error> {
        loop {
            let acquired = self.job.pool.acquire(TICK).map_err(|NoMemory(bytes)| Error::of(Cause::NoMemory(bytes)))?;
            if let Some(buffer) = acquired {
                return Ok(buffer);
            }
        }
    }

    fn submit(&mut self, request: Request) -> Result<(), Error> {
        let Request { buffer, rows, skipped, at } = request;
        if buffer.len() == 0 {
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
            made_for: Some(made_for(plan, self.job.creates)),
        };
        let added = self.append.add(header, buffer.filled());
        added.map_err(|error| Error::of(Cause::Spool(error)).with_table(plan.table()))
    }

    fn buffer_size(&self) -> usize {
        self.job.pool.buffer_size()
    }
}
