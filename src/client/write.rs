//! Writing a frame: to one server, and on to the next where that fails.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::hosts::{Host, Hosts, Tour};
use super::spooling::{is_repeatable, set_aside};
use super::{Ahead, Client, Servers, Tick};
use crate::error::{Cause, Error, Result};
use crate::frontend::IntoSource;
use crate::options::{Create, OnError, WriteOptions};
use crate::plan::{Plan, new_columns};
use crate::report::WriteReport;
use crate::sender::{
    Account, Before, Halt, Job, Keeping, Kept, Progress, Rejections, Requests, Resumable, Way, excerpt, write,
};
use crate::spool::Spool;
use crate::transport::{ServerInfo, TransportError};

/// What is called meanwhile with the state of things; it may end the write.
pub(super) type OnProgress<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// One call of `write`.
struct Call<'a> {
    /// With the designated timestamp that was found where the caller named none, once the rows are planned for again.
    options: Cow<'a, WriteOptions>,
    tour: Tour,
    /// Whether there are other servers to turn to.
    has_others: bool,
    rejections: Option<Arc<Rejections>>,
    /// When it must have ended, and how long that is.
    deadline: Option<(Instant, Duration)>,
    /// The last plan that was made with a server.
    plan: Option<Plan>,
    /// What was asked before the call.
    ahead: Option<Ahead>,
}

impl Client {
    /// Writes a frame and returns when the server has acknowledged all of it.
    ///
    /// The frame is planned and, if it can be read twice, checked whole before its first byte is sent. It goes in
    /// several requests, each atomic on the server. Memory: the client's buffers (`pool_bytes`, 64 MiB by default),
    /// whatever the frame's size. The first write asks the server for its protocol versions and the table's columns;
    /// each asks, at most every 10 ms if they follow each other without a pause, whether the table's name still stands
    /// for the same table with the same columns.
    /// A missing table is made as [`WriteOptions::create`] says, after the values of the frame (of a stream: its first
    /// batch) have been found sound; not for a frame without rows.
    ///
    /// A request that fails is sent again, the same bytes, for `retry_timeout` (10 s by default), if nothing of it can
    /// have been stored (no connection; 408, 429, 503, 507, 509, 529), or if the table's deduplication keys make a second
    /// copy harmless (all other failures that may pass). With several servers the next one is taken instead, planned for
    /// anew, and given what is not stored yet.
    ///
    /// Over TCP, with [`WriteOptions::unacknowledged`], none of this holds but the check of the frame and the memory:
    /// the lines go in one stream, and nothing tells whether they are stored.
    ///
    /// # Errors
    /// Everything that is wrong with the frame, before sending; what the server or the way to it did. Each error has
    /// three sets of rows that cover the frame: stored, in doubt, and not stored ([`Error::delivery`]);
    /// [`WriteOptions::resume`] goes on from there.
    pub fn write<'a, Via>(&self, data: impl IntoSource<'a, Via>, options: &WriteOptions) -> Result<WriteReport> {
        self.write_with_progress(data, options, |_| ControlFlow::Continue(()))
    }

    /// As [`write`](Self::write); `progress` is called on this thread at least every 50 ms while the write waits and
    /// after each buffer, and stops it by answering `Break`: what is in flight then is in doubt.
    ///
    /// # Errors
    /// As [`write`](Self::write), and [`Error::is_interrupted`] when stopped.
    ///
    /// ```no_run
    /// # use std::ops::ControlFlow;
    /// # use std::sync::Arc;
    /// # use questframe::arrow::array::{ArrayRef, Int64Array, RecordBatch};
    /// # use questframe::{At, Client, WriteOptions};
    /// # let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)])?;
    /// # let client = Client::from_conf("http::addr=localhost:9000;")?;
    /// client.write_with_progress(&batch, &WriteOptions::table("trades").at(At::Server), |progress| {
    ///     eprintln!("{} rows stored", progress.rows);
    ///     ControlFlow::Continue(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write_with_progress<'a, Via>(
        &self,
        data: impl IntoSource<'a, Via>,
        options: &WriteOptions,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<WriteReport> {
        let has_others = matches!(&self.0.servers, Servers::Http(hosts) if hosts.are_several());
        let spools = options.spool_dir.is_some() || self.0.config.spool_dir().is_some();
        let keeps = has_others || options.on_error == OnError::Quarantine || spools || options.atomic;
        self.write_rows(&mut Resumable::keeping(data.into_source(), keeps), options, None, &mut progress)
    }

    /// As [`write`](Self::write), of rows that can be gone on with when it fails.
    ///
    /// # Errors
    /// As [`write`](Self::write); and for a stream that has been read in part, without [`WriteOptions::resume`].
    pub fn write_resumable(&self, rows: &mut Resumable<'_>, options: &WriteOptions) -> Result<WriteReport> {
        self.write_resumable_with_progress(rows, options, |_| ControlFlow::Continue(()))
    }

    /// As [`write_resumable`](Self::write_resumable), with `progress` as in
    /// [`write_with_progress`](Self::write_with_progress).
    ///
    /// # Errors
    /// As both.
    pub fn write_resumable_with_progress(
        &self,
        rows: &mut Resumable<'_>,
        options: &WriteOptions,
        progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<WriteReport> {
        self.write_asked(rows, options, None, progress)
    }

    /// As [`write_resumable_with_progress`](Self::write_resumable_with_progress), with what was asked ahead.
    ///
    /// # Errors
    /// As there.
    #[doc(hidden)]
    pub fn write_asked(
        &self,
        rows: &mut Resumable<'_>,
        options: &WriteOptions,
        ahead: Option<Ahead>,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<WriteReport> {
        if rows.is_begun() && options.resume.is_none() {
            let text = "the stream has been read in part by another write; go on with that write's error, or open the \
                        stream again";
            return Err(Error::of(Cause::Resume(text.to_owned())));
        }
        self.write_rows(rows, options, ahead, &mut progress)
    }

    fn write_rows(
        &self,
        feed: &mut Resumable<'_>,
        options: &WriteOptions,
        ahead: Option<Ahead>,
        progress: OnProgress<'_>,
    ) -> Result<WriteReport> {
        let started = Instant::now();
        let inner = &*self.0;
        // What the write which is gone on with has stored is still so when this one does not even begin.
        let not_begun = |error: Error| match &options.resume {
            Some(resume) => match resume.table.as_deref() {
                Some(table) => error.with_table(table).with_delivery(resume.clone()),
                None => self.in_table(error, options).with_delivery(resume.clone()),
            },
            None => error,
        };
        if let Some(table) = options.table.as_deref().or(inner.config.table()) {
            resume_fits(options, table).map_err(not_begun)?;
        }
        self.table_can_be_made(options).map_err(not_begun)?;
        if options.atomic && options.on_error == OnError::Quarantine {
            return Err(not_begun(self.in_table(Error::of(Cause::AtomicQuarantine), options)));
        }
        let before = before(options, feed).map_err(not_begun)?;
        let mut account = Account::new(started, feed.rows(), before);
        // An `Instant` may be too early for a deadline of centuries: then there is none.
        let deadline = options.deadline.and_then(|limit| Some((started.checked_add(limit)?, limit)));
        let done = match &inner.servers {
            Servers::Http(hosts) => {
                let quarantine = options.on_error == OnError::Quarantine;
                let mut call = Call {
                    options: Cow::Borrowed(options),
                    tour: Tour::new(&inner.config, deadline.map(|(deadline, _)| deadline)),
                    has_others: hosts.are_several(),
                    rejections: quarantine.then(|| Arc::new(Rejections::new(options.max_rejected))),
                    deadline,
                    plan: None,
                    ahead,
                };
                let spool = self.spool(options.spool_dir.as_deref());
                spool.and_then(|spool| match spool {
                    None => self.write_somewhere(hosts, &mut call, feed, &mut account, progress),
                    Some(spool) => self.write_or_keep(hosts, &spool, &mut call, feed, &mut account, progress),
                })
            }
            Servers::Tcp(transport) => self.stream(transport, options, deadline, feed, &mut account, progress),
        };
        let error = match done {
            Ok(report) => return Ok(report),
            Err(error) => self.in_table(error, options),
        };
        // A wait that the deadline ended looks as if the caller had ended it.
        let error = match deadline {
            Some((deadline, limit)) if is_stopped(&error) && Instant::now() >= deadline => {
                let late = Error::of(Cause::Deadline(limit)).with_note(error.note());
                match error.table() {
                    Some(table) => late.with_table(table),
                    None => late,
                }
            }
            _ => error,
        };
        let error = error.with_delivery(account.delivery(feed.seen()));
        Err(match inner.servers {
            Servers::Http(_) => error,
            Servers::Tcp(_) => error.unacknowledged(),
        })
    }

    /// Tells the table that an error is about, where it is known. A plan that cannot be made does so itself, if that can be
    /// a table's name.
    pub(super) fn in_table(&self, error: Error, options: &WriteOptions) -> Error {
        match options.table.as_deref().or(self.0.config.table()) {
            Some(table) if error.table().is_none() && !error.is_of_plan() => error.with_table(table),
            _ => error,
        }
    }

    /// Writes what is left to the server in use, and to the next while that may help.
    fn write_somewhere(
        &self,
        hosts: &Hosts,
        call: &mut Call<'_>,
        feed: &mut Resumable<'_>,
        account: &mut Account,
        progress: OnProgress<'_>,
    ) -> Result<WriteReport> {
        let (mut notes, mut added) = (Vec::new(), Vec::new());
        let mut created = false;
        let mut last: Option<Error> = None;
        loop {
            let host = hosts.current();
            let stored = account.leave_out().rows();
            let halt = match self.write_to(host, call, feed, account, last.take(), progress) {
                Ok(made) => {
                    created |= made.created;
                    add_new(&mut notes, made.notes);
                    add_new(&mut added, made.plan.added.clone());
                    // Of a table that was created by this write none is new, and without a value none is made.
                    let made_now = added.iter().filter(|column| column.is_stated || account.has_values(column.index));
                    notes.extend(new_columns(made_now).filter(|_| !created));
                    let mut report = account.report(&made.plan, created, notes);
                    report.rejected = account.rejected_rows(feed)?;
                    return self.made_visible(host, call, report, progress);
                }
                // What was read before is stored, and what comes has a plan of its own.
                Err((halt, Some(made))) if halt.error.is_new_schema() => {
                    created |= made.created;
                    add_new(&mut notes, made.notes);
                    add_new(&mut added, made.plan.added.clone());
                    call.options = made.plan.with_its_at(call.options.clone());
                    continue;
                }
                Err((halt, made)) => {
                    created |= made.is_some_and(|made| made.created);
                    halt
                }
            };
            if account.leave_out().rows() > stored {
                call.tour.succeeded();
            }
            let movable = halt.error.transport().filter(|_| halt.is_movable);
            let Some(pause) = movable.and_then(|error| call.tour.next(hosts, host, error)) else {
                return Err(halt.error.with_tries(call.tour.tries()));
            };
            if call.has_others && account.has_sent() {
                account.goes_on_elsewhere();
                notes.push(format!("{} did not take all rows ({}), and others were tried", host.address, halt.error));
            }
            self.pause(pause, &mut call.tick(account, progress))?;
            last = Some(halt.error);
        }
    }

    /// Writes what is left, and keeps on disk what no server takes.
    fn write_or_keep(
        &self,
        hosts: &Hosts,
        spool: &Arc<Spool>,
        call: &mut Call<'_>,
        feed: &mut Resumable<'_>,
        account: &mut Account,
        progress: OnProgress<'_>,
    ) -> Result<WriteReport> {
        let (inner, options) = (&*self.0, call.options.clone());
        let table = options.table.as_deref().or(inner.config.table());
        let (queued, set_aside) = match self.must_queue(hosts, spool, table, &mut call.tick(account, progress)) {
            Ok((queued, rejected)) => {
                let why = "rows of this table that were accepted before wait to be sent";
                (queued.then_some(why), set_aside(&rejected))
            }
            // No server has taken what waits, and so these rows wait behind it.
            Err(error) if is_over(call.deadline) && is_stopped(&error) => {
                (Some("the deadline passed before what waited was sent"), error.note())
            }
            Err(error) => return Err(error),
        };
        match self.write_unless(queued, hosts, spool, call, feed, account, progress) {
            Ok(mut report) => {
                report.notes.extend(set_aside);
                Ok(report)
            }
            Err(error) => Err(error.with_more(set_aside)),
        }
    }

    /// Writes what is left unless it has to queue behind what waits, and keeps on disk what no server takes.
    #[expect(clippy::too_many_arguments, reason = "one write's")]
    fn write_unless(
        &self,
        queued: Option<&str>,
        hosts: &Hosts,
        spool: &Arc<Spool>,
        call: &mut Call<'_>,
        feed: &mut Resumable<'_>,
        account: &mut Account,
        progress: OnProgress<'_>,
    ) -> Result<WriteReport> {
        let (inner, options) = (&*self.0, call.options.clone());
        let why = if let Some(why) = queued {
            why.to_owned()
        } else {
            let error = match self.write_somewhere(hosts, call, feed, account, progress) {
                Err(error) if is_to_be_kept(&error) || is_over(call.deadline) && is_stopped(&error) => error,
                done => return done,
            };
            let is_repeatable = options.retry_in_doubt || call.plan.as_ref().is_some_and(Plan::is_repeatable);
            if account.is_in_doubt() && !is_repeatable {
                return Err(error);
            }
            match call.deadline {
                Some((_, limit)) if is_stopped(&error) => {
                    format!("the deadline of {limit:?} passed before they were taken")
                }
                _ => error.to_string(),
            }
        };
        let mut kept = Kept::begin(spool);
        let plan = loop {
            let plan = match call.plan.take() {
                Some(plan) => Ok(plan),
                None => self.plan_to_keep(hosts.current(), &feed.schema(), &call.options),
            };
            let added = plan.and_then(|plan| {
                let keeping = Keeping {
                    repeatable: is_repeatable(&plan, &options),
                    options: &options,
                    plan: &plan,
                    pool: &inner.pool,
                    max_rows: inner.config.auto_flush_rows(),
                    max_bytes: inner.config.auto_flush_bytes(),
                    max_buf_size: inner.config.max_buf_size(),
                    atomic: options.atomic,
                };
                match kept.add(&keeping, feed, account, &mut call.tick_of_keeping(feed, account, progress)) {
                    Ok(()) => Ok(Some(plan)),
                    Err(error) if error.is_new_schema() => {
                        call.options = plan.with_its_at(call.options.clone());
                        Ok(None)
                    }
                    Err(error) => Err(not_kept(error, &why, &plan)),
                }
            });
            match added {
                Ok(Some(plan)) => break plan,
                Ok(None) => {}
                // A stream does not give again what it gave, and what was added is sound.
                Err(error) if feed.keeps() && !options.atomic => {
                    let note = match kept.commit_part(account) {
                        Ok(0) => None,
                        Ok(rows) => {
                            Some(format!("{rows} rows before that wait on disk to be sent, and count as stored"))
                        }
                        Err(error) => Some(format!("the rows before that could not be kept either: {error}")),
                    };
                    return Err(error.with_more(note));
                }
                Err(error) => return Err(error),
            }
        };
        let kept = kept.commit().map_err(|error| not_kept(error, &why, &plan))?;
        let mut notes = Vec::new();
        if kept > 0 {
            notes.push(format!("{kept} rows wait on disk to be sent: {why}"));
        }
        if kept > 0 && options.check != Some(false) && hosts.current().tables.last_seen(plan.table()).is_none() {
            notes.push(
                "the server could not be asked about the table: rows that it has no room for are set aside when they are sent"
                    .to_owned(),
            );
        }
        let mut report = account.report(&plan, false, notes);
        report.rejected = account.rejected_rows(feed)?;
        report.rows_spooled = kept;
        Ok(report)
    }

    /// Waits until the rows of a report can be selected, if that was asked for.
    fn made_visible(
        &self,
        host: &Host,
        call: &Call<'_>,
        mut report: WriteReport,
        progress: OnProgress<'_>,
    ) -> Result<WriteReport> {
        // Also those that the write which is gone on with has stored, and did not wait for.
        let has_rows = report.rows > 0 || call.options.resume.as_ref().is_some_and(|resume| !resume.acked.is_empty());
        if let Some(timeout) = call.options.wait_visible.filter(|_| has_rows) {
            let end = Progress { rows: report.rows, total_rows: Some(report.rows), bytes: report.bytes };
            let deadline = call.deadline;
            let tick: Tick<'_> = &mut || if is_over(deadline) { ControlFlow::Break(()) } else { progress(end) };
            let waited = self.wait_visible(host, &report.table, timeout, tick)?;
            report.elapsed += waited;
        }
        Ok(report)
    }

    /// Writes what is left to one server. The error has what was made before.
    fn write_to(
        &self,
        host: &Host,
        call: &mut Call<'_>,
        feed: &mut Resumable<'_>,
        account: &mut Account,
        last: Option<Error>,
        progress: OnProgress<'_>,
    ) -> Result<Made, (Halt, Option<Box<Made>>)> {
        let (inner, options) = (&*self.0, call.options.clone());
        let made = {
            let ahead = call.ahead.take();
            let mut tick = call.tick(account, progress);
            let tick: Tick<'_> = &mut tick;
            let planned = self.plan_for(host, &feed.schema(), &options, ahead, &mut *tick);
            planned.and_then(|plan| self.make_table(host, feed, plan, &options, tick))
        };
        let made = made.map_err(|error| {
            let is_movable = error.transport().is_some_and(TransportError::is_of_the_server);
            (Halt { error, is_movable }, None)
        })?;
        let plan = &made.plan;
        call.plan = Some(plan.clone());
        let ends = |error: Error| Halt { error, is_movable: false };
        // What another server may have stored would be there twice.
        if account.is_in_doubt()
            && !plan.is_repeatable()
            && let Some(error) = last
        {
            return Err((ends(error), None));
        }
        // Where nobody tells which table the name stands for, it may have been dropped and made again.
        if host.tables.is_written_again(plan.table()) && plan.may_be_made_by_server() {
            host.transport.reconnect().map_err(|error| (ends(error.into()), None))?;
        }
        let job = Job {
            plan,
            runtime: self.runtime().map_err(|error| (ends(error), None))?,
            way: Way::Http(Requests {
                transport: &host.transport,
                connections: options.connections.unwrap_or(inner.config.connections()),
                ordered: options.ordered.unwrap_or(true),
                // Requests that race each other to make a table may fail each other.
                first_alone: plan.may_be_made_by_server(),
                retry: call.tour.policy(),
                takes_gzip: host.server.get().is_some_and(ServerInfo::takes_gzip),
                retry_in_doubt: options.retry_in_doubt,
                has_others: call.has_others,
                rejections: call.rejections.clone(),
            }),
            pool: &inner.pool,
            max_rows: inner.config.auto_flush_rows(),
            max_bytes: inner.config.auto_flush_bytes(),
            max_buf_size: inner.config.max_buf_size(),
            atomic: options.atomic,
            deadline: call.deadline,
        };
        let result = write(&job, feed, account, progress);
        host.tables.written(plan.table());
        // Whatever the server disliked, the table may not be what we believe; and what it made we have not seen.
        if result.is_err() || plan.may_be_made_by_server() {
            host.tables.forget(plan.table());
        }
        match result {
            Ok(()) => Ok(made),
            Err(mut halt) => {
                if let (Some(row), Some(column), None) = (halt.error.row(), halt.error.column(), halt.error.value())
                    && let Some(value) = excerpt(plan, feed, row, column)
                {
                    halt.error = halt.error.with_value(value);
                }
                Err((halt, Some(Box::new(made))))
            }
        }
    }

    /// Runs the statements of a plan, once the values have been found sound, and plans anew for what is there then.
    fn make_table(
        &self,
        host: &Host,
        feed: &mut Resumable<'_>,
        mut plan: Plan,
        options: &WriteOptions,
        tick: Tick<'_>,
    ) -> Result<Made> {
        let (mut created, mut notes) = (false, Vec::new());
        let mut options = options.clone();
        // Others may make the table at the same time, and make it otherwise.
        for attempt in 0..ATTEMPTS {
            if plan.statements().is_empty() {
                break;
            }
            if !feed.preview(&plan).inspect_err(|_| host.tables.forget(plan.table()))? {
                break;
            }
            match self.run_statements(host, &plan, &mut *tick)? {
                Ok(()) => {
                    created |= plan.creates_table();
                    // A connection that has written to the table does not know of a new DECIMAL column, and fails.
                    host.transport.reconnect()?;
                    if !plan.creates_table() {
                        // The columns are there, with these types, though the server may not show them yet.
                        host.tables.forget(plan.table());
                        break;
                    }
                }
                // Somebody else has just made the same column, maybe of another type.
                // The server shows a new column a moment after it has made it.
                Err((error, _)) if error.is_made_by_others() && attempt + 1 < ATTEMPTS => {
                    self.pause(Duration::from_millis(10 << attempt), &mut *tick)?;
                }
                Err((error, _)) if error.is_closed() => {
                    notes.push(format!(
                        "the server runs no statements for this client ({error}), so it made the table itself if it was \
                         missing: its designated timestamp is then called \"timestamp\", its partitions are days{}",
                        not_applied(&options)
                    ));
                    options = options.create(Create::Server);
                }
                Err((error, statement)) => {
                    host.tables.forget(plan.table());
                    return Err(Error::statement(statement, error).with_table(plan.table()));
                }
            }
            host.tables.forget(plan.table());
            plan = self.plan_for(host, &feed.schema(), &options, None, &mut *tick)?;
        }
        if notes.is_empty() && plan.is_unreadable() {
            notes.push(format!(
                "the server did not let the table be looked up; if it was missing the server made it, with a designated \
                 timestamp called \"timestamp\" and partitions of a day{}",
                not_applied(&options)
            ));
        }
        notes.extend(plan.notes.iter().cloned());
        Ok(Made { plan, created, notes })
    }

    /// Runs the statements of a plan; the inner error is that of one of them.
    fn run_statements(&self, host: &Host, plan: &Plan, tick: Tick<'_>) -> Result<Result<(), (TransportError, String)>> {
        for statement in plan.statements() {
            let sql = statement.clone();
            let answer = self.ask(host, &mut *tick, |transport| async move { transport.query(&sql).await })?;
            if let Err(error) = answer {
                return Ok(Err((error, statement.clone())));
            }
        }
        Ok(Ok(()))
    }
}

/// How long after its deadline a write still reads a stream whose rows no server takes, to keep them.
const READ_ON: Duration = Duration::from_secs(1);

impl Call<'_> {
    /// What is called while rows are kept on disk.
    fn tick_of_keeping<'a>(
        &self,
        feed: &Resumable<'_>,
        account: &Account,
        progress: OnProgress<'a>,
    ) -> impl FnMut() -> ControlFlow<()> + use<'a> {
        let now = account.progress();
        // What is in memory is kept whole.
        let deadline = self.deadline.filter(|_| feed.keeps());
        let end = deadline.and_then(|(deadline, _)| deadline.max(Instant::now()).checked_add(READ_ON));
        move || if end.is_some_and(|end| Instant::now() >= end) { ControlFlow::Break(()) } else { progress(now) }
    }

    /// What is called while a server is waited for.
    fn tick<'a>(&self, account: &Account, progress: OnProgress<'a>) -> impl FnMut() -> ControlFlow<()> + use<'a> {
        let (now, deadline) = (account.progress(), self.deadline);
        move || if is_over(deadline) { ControlFlow::Break(()) } else { progress(now) }
    }
}

/// Whether a write or a request of it was ended from our side.
fn is_stopped(error: &Error) -> bool {
    error.is_interrupted() || matches!(error.transport(), Some(TransportError::Stopped { .. }))
}

/// Whether a write failed because no server took its rows, now.
pub(super) fn is_to_be_kept(error: &Error) -> bool {
    error.is_late() || error.transport().is_some_and(|error| error.is_passing() || error.is_of_tls())
}

/// Why rows that no server took, for this reason, could not be kept either.
fn not_kept(error: Error, why: &str, plan: &Plan) -> Error {
    match error.into_spool() {
        Ok(error) => Error::of(Cause::NotKept(why.to_owned(), error)).with_table(plan.table()),
        Err(error) => error,
    }
}

/// Adds those that are not there yet.
fn add_new<T: PartialEq>(known: &mut Vec<T>, more: Vec<T>) {
    for new in more {
        if !known.contains(&new) {
            known.push(new);
        }
    }
}

fn is_over(deadline: Option<(Instant, Duration)>) -> bool {
    deadline.is_some_and(|(deadline, _)| Instant::now() >= deadline)
}

/// The rows that the write which is gone on with has dealt with.
fn before(options: &WriteOptions, feed: &Resumable<'_>) -> Result<Before> {
    let Some(resume) = &options.resume else { return Ok(Before::default()) };
    let acked = resume.acked.iter().cloned().collect();
    let doubtful = resume.doubtful.iter().filter(|_| options.leave_doubtful).cloned().collect();
    let before = Before { acked, doubtful };
    let seen = [&resume.acked, &resume.doubtful, &resume.unsent].into_iter().flatten().map(|rows| rows.end).max();
    match (feed.rows(), seen) {
        (Some(rows), Some(seen)) if rows < seen => Err(Error::of(Cause::Resume(format!(
            "the failed write saw {seen} rows and this frame has {rows}; pass the same frame again"
        )))),
        _ => Ok(before),
    }
}

/// Whether the write which is gone on with was one into the same table.
pub(super) fn resume_fits(options: &WriteOptions, table: &str) -> Result<()> {
    match options.resume.as_ref().and_then(|resume| resume.table.as_deref()) {
        Some(before) if !crate::plan::same_name(before, table) => Err(Error::of(Cause::Resume(format!(
            "the failed write was one into table {before:?}, and this is one into {table:?}"
        )))),
        _ => Ok(()),
    }
}

/// How often statements are tried when others change the table at the same time.
const ATTEMPTS: u32 = 7;

/// What the note on a table that the server made says of a specification.
fn not_applied(options: &WriteOptions) -> &'static str {
    match options.create {
        Create::Table(_) => "; nothing of the TableSpec was applied",
        _ => "",
    }
}

/// A table that is there, or that the server will make.
struct Made {
    plan: Plan,
    created: bool,
    notes: Vec<String>,
}
