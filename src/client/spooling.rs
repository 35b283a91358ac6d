//! Rows that wait on disk: kept there when no server takes them, and sent from there when one does.
//!
//! Why it is hard: the rows of a table must arrive in the order in which they were accepted. So a write first sends what
//! waits, once, without patience; while something of its table still waits its own rows queue behind that. Delivery
//! from the spool is *at least once*: a process that dies between the server's answer and the removal of the segment
//! sends it again, as does one whose answer was lost. With deduplication keys that is harmless.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::fitting::Fit;
use super::hosts::{Host, Hosts, Tour};
use super::write::is_to_be_kept;
use super::{Client, Servers, Tick, best_version};
use crate::error::{Cause, Error, Result};
use crate::options::{Create, ProtocolVersion, WriteOptions};
use crate::plan::{AtPlan, Plan, Target, same_name};
use crate::report::DrainReport;
use crate::spool::{Header, SegmentId, Spool, SpoolError};
use crate::transport::{Certainty, Delivered, Repeat, RetryPolicy, Terms, TransportError, Undelivered, deliver};

/// What came of a segment.
enum Sent {
    Delivered,
    /// No server will ever take it.
    Refused(String),
    /// The table that is there would store other values, or may not be made.
    Unfit(String),
    /// No server took it now.
    Failed(TransportError),
}

impl Client {
    /// Sends what waits in a spool folder, in the order in which it was accepted (`spool_dir=` of the configuration
    /// string unless a folder is given). Returns when nothing waits any more.
    ///
    /// A segment that the server refuses, or that does not fit the table which is there by now, goes into the folder
    /// `rejected`, with the reason in a text beside it, and does not hold up the others. A failure that may pass is waited for as in [`write`](Self::write).
    ///
    /// # Errors
    /// If no server takes them: what was not sent waits on. If another process has the folder, or there is none.
    pub fn drain_spool(&self, folder: Option<&Path>) -> Result<DrainReport> {
        self.drain_spool_with(folder, &mut || ControlFlow::Continue(()))
    }

    /// As [`drain_spool`](Self::drain_spool); `tick` is called every 50 ms while a server is waited for, and may end
    /// that.
    ///
    /// # Errors
    /// As [`drain_spool`](Self::drain_spool), and [`Error::is_interrupted`] when ended.
    pub fn drain_spool_with(
        &self,
        folder: Option<&Path>,
        tick: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<DrainReport> {
        let hosts = self.hosts("rows cannot wait on disk (`spool_dir`)")?;
        // Writes make it, and a name with a slip in it has nothing that waits.
        if let Some(folder) = folder.or(self.0.config.spool_dir()).filter(|folder| !folder.is_dir()) {
            return Err(Error::of(Cause::Spool(SpoolError::NoFolder { folder: folder.to_owned() })));
        }
        let Some(spool) = self.spool(folder)? else {
            return Err(Error::of(Cause::NoSpool));
        };
        let mut report = DrainReport::default();
        let drained = self.drain(hosts, &spool, Tour::new(&self.0.config, None), tick, &mut report);
        (report.segments_waiting, report.bytes_waiting) = (spool.waiting().len() as u64, spool.bytes());
        match drained {
            Ok(()) => Ok(report),
            Err(error) => Err(error.with_note(set_aside(&report.rejected))),
        }
    }

    /// Sends what waits in the folder of the configuration string, at the start of a program: once and without patience.
    /// What no server takes waits on, for the next write or [`drain_spool`](Self::drain_spool). Without `spool_dir=`, or
    /// if nothing waits, no server is asked. `tick` as in [`drain_spool_with`](Self::drain_spool_with). Worst case: the
    /// time limit of one request, for each server. Returns the segments that were refused, where they are now.
    ///
    /// # Errors
    /// If another process has the folder, or it cannot be read; [`Error::is_interrupted`] when ended.
    pub fn replay_spool_with(&self, tick: &mut dyn FnMut() -> ControlFlow<()>) -> Result<Vec<PathBuf>> {
        match (&self.0.servers, self.spool(None)?) {
            (Servers::Http(hosts), Some(spool)) => {
                self.must_queue(hosts, &spool, None, tick).map(|(_, rejected)| rejected)
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The spool that a write or the configuration names, held as long as the client lives.
    pub(super) fn spool(&self, folder: Option<&Path>) -> Result<Option<Arc<Spool>>> {
        let config = &self.0.config;
        let Some(folder) = folder.or(config.spool_dir()) else { return Ok(None) };
        // The same folder wherever the process goes, and another one by the same name somewhere else.
        let folder = &std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let mut spools = self.0.spools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spool) = spools.get(folder) {
            return Ok(Some(Arc::clone(spool)));
        }
        let spool = Spool::open(folder, config.spool_max_bytes()).map_err(|error| Error::of(Cause::Spool(error)))?;
        spools.insert(folder.to_owned(), Arc::clone(&spool));
        Ok(Some(spool))
    }

    /// Sends what waits, once and without patience, before a write of a table; tells whether that has to queue, and the
    /// segments that were refused.
    pub(super) fn must_queue(
        &self,
        hosts: &Hosts,
        spool: &Arc<Spool>,
        table: Option<&str>,
        tick: Tick<'_>,
    ) -> Result<(bool, Vec<PathBuf>)> {
        if spool.waiting().is_empty() {
            return Ok((false, Vec::new()));
        }
        let mut report = DrainReport::default();
        match self.drain(hosts, spool, Tour::once(&self.0.config), tick, &mut report) {
            // It may be about another table, and ends the write of this one.
            Err(error) if !is_to_be_kept(&error) => {
                let others = error.table().filter(|other| table.is_some_and(|table| !same_name(other, table)));
                let others =
                    others.map(|other| format!("it is about rows of {other:?} that wait on disk and go first"));
                let notes: Vec<_> = others.into_iter().chain(set_aside(&report.rejected)).collect();
                let error = error.with_note((!notes.is_empty()).then(|| notes.join("; ")));
                Err(match table {
                    Some(table) => error.with_table(table),
                    None => error,
                })
            }
            _ => Ok((table.is_some_and(|table| spool.has_waiting(table)), report.rejected)),
        }
    }

    /// Sends what waits in a spool, from the oldest on.
    fn drain(
        &self,
        hosts: &Hosts,
        spool: &Arc<Spool>,
        mut tour: Tour,
        tick: Tick<'_>,
        report: &mut DrainReport,
    ) -> Result<()> {
        let spooled = |error| Error::of(Cause::Spool(error));
        // One at a time, or two of them would send the same segment.
        let _turn = loop {
            match spool.try_turn() {
                Some(turn) => break turn,
                None => self.pause(super::TICK, &mut *tick)?,
            }
        };
        let mut fresh: Option<*const Host> = None;
        for waiting in spool.waiting() {
            let (id, bytes) = (waiting.id, waiting.bytes);
            let read = waiting.header.and_then(|_| spool.read(id));
            let (header, body) = match read {
                Ok((header, body)) => (header, Bytes::from(body)),
                Err(error @ SpoolError::Corrupt { .. }) => {
                    report.rejected.push(spool.reject(id, &error.to_string()).map_err(spooled)?);
                    continue;
                }
                // Another client of this process has sent it.
                Err(SpoolError::NotWaiting { .. }) => continue,
                Err(error) => return Err(spooled(error)),
            };
            loop {
                let host = hosts.current();
                // Rows over a kept connection to a table that was dropped meanwhile would be lost.
                if fresh != Some(std::ptr::from_ref(host)) {
                    host.transport.reconnect()?;
                    fresh = Some(std::ptr::from_ref(host));
                }
                let error = match self.send_segment(host, &header, &body, &mut *tick)? {
                    Sent::Delivered => {
                        report.segments += 1;
                        report.rows += header.rows;
                        report.bytes += bytes;
                        spool.remove(id).map_err(spooled)?;
                        tour.succeeded();
                        break;
                    }
                    Sent::Refused(reason) => {
                        report.rejected.push(reject(spool, id, &header, "refused by the server", &reason)?);
                        break;
                    }
                    Sent::Unfit(reason) => {
                        let first = header.made_for.as_ref().and_then(|made_for| made_for.first_row);
                        let first = first.map(|row| format!(" (row 0 is row {row} of the frame)"));
                        let first = first.unwrap_or_default();
                        let why = format!("not sent, since the table is not what they were made for{first}");
                        report.rejected.push(reject(spool, id, &header, &why, &reason)?);
                        break;
                    }
                    Sent::Failed(error) => error,
                };
                match tour.next(hosts, host, &error) {
                    Some(pause) => self.pause(pause, &mut *tick)?,
                    None => return Err(Error::from(error).with_tries(tour.tries()).with_table(&header.table)),
                }
            }
        }
        Ok(())
    }

    /// Sends one segment to one server, once.
    fn send_segment(&self, host: &Host, header: &Header, body: &Bytes, tick: Tick<'_>) -> Result<Sent> {
        let info = match self.info_of(host, &mut *tick) {
            Ok(info) => info,
            Err(error) => {
                return match error.into_transport() {
                    Ok(error) => Ok(Sent::Failed(error)),
                    Err(error) => Err(error),
                };
            }
        };
        let version = header.protocol_version.number();
        if !info.protocol_versions.contains(&u64::from(version)) {
            let known = &info.protocol_versions;
            return Ok(Sent::Refused(format!("the server takes protocol versions {known:?}, and not {version}")));
        }
        let said = match self.run_kept(host, &header.table, &header.statements, &mut *tick)? {
            Err(error) if error.is_of_the_server() => return Ok(Sent::Failed(error)),
            // Made by somebody else since, or statements are closed to us: then the rows will tell.
            Err(error) => Some(error),
            Ok(()) => None,
        };
        let mut is_closed = said.as_ref().is_some_and(TransportError::is_closed);
        let mut tries = 0;
        let body = loop {
            let refused = match self.fit(host, header, body, is_closed, &mut *tick)? {
                Fit::AsTheyAre => break body.clone(),
                Fit::Anew(statements, lines) => match self.run_kept(host, &header.table, &statements, &mut *tick)? {
                    Ok(()) => break lines,
                    Err(error) if error.is_of_the_server() => return Ok(Sent::Failed(error)),
                    Err(error) => error,
                },
                Fit::Unfit(reason) if tries > 0 => return Ok(Sent::Unfit(reason)),
                // What is wrong may have been put right since the columns were asked for.
                Fit::Unfit(_) => {
                    tries += 1;
                    host.tables.forget(&header.table);
                    continue;
                }
                Fit::Unknown(error) => return Ok(Sent::Failed(error)),
            };
            host.tables.forget(&header.table);
            if refused.is_closed() && !is_closed {
                is_closed = true;
            } else if refused.is_made_by_others() && tries < ATTEMPTS {
                self.pause(Duration::from_millis(10 << tries), &mut *tick)?;
                tries += 1;
            } else {
                return Ok(Sent::Unfit(format!("making the table ready failed: {refused}")));
            }
        };
        // Connections remember it from now on.
        host.tables.is_written_again(&header.table);
        let transport = host.transport.clone();
        let (_stop, stop) = watch::channel(false);
        let retry = RetryPolicy { budget: Duration::ZERO, ..Tour::new(&self.0.config, None).policy() };
        let terms = Terms { retry, repeat: Repeat::InDoubt, deduplicated: true, has_others: true, stop };
        let delivered = self.wait(async move { deliver(&transport, body, &terms).await }, tick)?;
        Ok(match delivered {
            Delivered { result: Ok(()), .. } => Sent::Delivered,
            Delivered { result: Err(Undelivered { error, certainty, .. }), .. } => {
                // Credentials and grants are the client's affair, not the segment's. But one that is too large for whatever
                // answers, if only for a proxy, stays so.
                let is_refused =
                    certainty == Certainty::Refused && !error.is_of_the_client() || error.status() == Some(413);
                match said {
                    _ if !is_refused => Sent::Failed(error),
                    Some(said) => Sent::Refused(format!("{error}\nbefore that a statement failed: {said}")),
                    None => Sent::Refused(error.to_string()),
                }
            }
        })
    }

    /// Runs statements that belong to rows that waited; the inner error is that of one of them.
    fn run_kept(
        &self,
        host: &Host,
        table: &str,
        statements: &[String],
        tick: Tick<'_>,
    ) -> Result<Result<(), TransportError>> {
        let mut refused = None;
        for statement in statements {
            let sql = statement.clone();
            match self.ask(host, &mut *tick, |transport| async move { transport.query(&sql).await })? {
                Err(error) => {
                    refused = Some(error);
                    break;
                }
                Ok(_) => {
                    host.tables.forget(table);
                    // A connection that has written to the table does not know of a new DECIMAL column, and fails.
                    if !statement.starts_with("CREATE") {
                        host.transport.reconnect()?;
                    }
                }
            }
        }
        Ok(refused.map_or(Ok(()), Err))
    }

    /// A plan for rows that no server takes now: for the table as it was last seen, else as if it were missing, so that
    /// the statements which make it are kept with the rows.
    pub(super) fn plan_to_keep(
        &self,
        host: &Host,
        schema: &arrow_schema::Schema,
        options: &WriteOptions,
    ) -> Result<Plan> {
        let config = &self.0.config;
        let info = host.server.get();
        let known = info.and_then(best_version);
        let version = options.protocol_version.or(config.protocol_version()).or(known).unwrap_or(ProtocolVersion::V3);
        let table = options.table.as_deref().or(config.table());
        let seen = table.and_then(|table| host.tables.last_seen(table));
        let target = match (seen, &options.create) {
            (Some(target), _) => target,
            (None, Create::Never) => Target::Unknown,
            (None, _) if options.check == Some(false) => Target::Unknown,
            (None, _) => Target::Missing,
        };
        let max_name_len = info.and_then(|info| info.max_name_len).unwrap_or(config.max_name_len());
        self.plan_on(host, schema, options, version, max_name_len, target)
    }
}

/// How often a segment's statements are tried while others change its table.
const ATTEMPTS: u32 = 7;

/// Puts a segment aside, with the reason.
fn reject(spool: &Arc<Spool>, id: SegmentId, header: &Header, why: &str, reason: &str) -> Result<PathBuf> {
    let (rows, table, version) = (header.rows, &header.table, header.protocol_version.number());
    let text = format!("{rows} rows of table {table:?}, protocol version {version}, {why}:\n{reason}");
    spool.reject(id, &text).map_err(|error| Error::of(Cause::Spool(error)))
}

/// What the caller should know of segments that were refused before something else.
pub(super) fn set_aside(rejected: &[PathBuf]) -> Option<String> {
    let first = rejected.first()?;
    let more = if rejected.len() > 1 { format!(" and {} more", rejected.len() - 1) } else { String::new() };
    Some(format!("rows that had waited on disk were refused and set aside: {}{more}, with the reason", first.display()))
}

/// Whether rows of a plan may be sent twice, also to a table that its statements make.
pub(super) fn is_repeatable(plan: &Plan, options: &WriteOptions) -> bool {
    let makes_keys = plan.creates_table() && matches!(&options.create, Create::Table(spec) if spec.has_dedup_keys());
    plan.is_repeatable() || (makes_keys && plan.at != AtPlan::Server)
}
