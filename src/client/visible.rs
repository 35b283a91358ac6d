//! Waiting until rows can be selected.
//!
//! A write is acknowledged when it is safe in the server's log; it is applied to the table a moment later
//! (`spec/ilp-wire.md` section 11).

use std::time::{Duration, Instant};

use simd_json::prelude::ValueAsScalar;

use super::hosts::Host;
use super::tables::row_of;
use super::{Client, Tick};
use crate::error::{Cause, Error, Result};
use crate::plan::folded;
use crate::transport::{HttpTransport, TransportError};

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// What a server is given to answer, however little time there is.
const SHORTEST_ASK: Duration = Duration::from_millis(100);

impl Client {
    /// Waits until all that the table's log holds now has been applied to the table, and tells how long that took.
    ///
    /// # Errors
    /// If the table is suspended, with the server's reason; if it takes longer than `timeout`; or if the server does not
    /// tell. The rows are stored all the same.
    pub(super) fn wait_visible(&self, host: &Host, table: &str, timeout: Duration, tick: Tick<'_>) -> Result<Duration> {
        let started = Instant::now();
        let query = format!("SELECT * FROM wal_tables() WHERE lower(name) = '{}'", folded(table).replace('\'', "''"));
        let mut goal: Option<i64> = None;
        let mut pause = FIRST_PAUSE;
        let failed = |text: String| Error::of(Cause::NotVisible(text)).with_table(table);
        loop {
            let sql = query.clone();
            // A server that does not answer is not waited for any longer than one that does.
            let left = timeout.saturating_sub(started.elapsed()).max(SHORTEST_ASK);
            let ask = |transport: HttpTransport| async move {
                tokio::time::timeout(left, transport.query(&sql)).await.unwrap_or_else(|_| Err(transport.stopped()))
            };
            let answer = match self.ask(host, &mut *tick, ask)? {
                Ok(answer) => answer,
                Err(TransportError::Stopped { .. }) => {
                    return Err(failed(format!(
                        "all rows are stored, but whether they can be selected the server did not tell within {timeout:?}"
                    )));
                }
                // A server that is busy for a moment may still tell.
                Err(error) if error.is_passing() && started.elapsed() < timeout => {
                    self.pause(pause, &mut *tick)?;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
                Err(error) => {
                    return Err(failed(format!(
                        "all rows are stored, but whether they can be selected the server does not tell: {error}"
                    )));
                }
            };
            let Some(facts) = row_of(&answer) else {
                return Err(failed("all rows are stored, but the table is not there any more".to_owned()));
            };
            let number = |name: &str| facts.get(name).and_then(|value| value.as_i64());
            let text = |name: &str| facts.get(name).and_then(|value| value.as_str()).unwrap_or_default();
            let (applied, committed) = (number("writerTxn").unwrap_or(0), number("sequencerTxn").unwrap_or(0));
            if facts.get("suspended").and_then(|value| value.as_bool()) == Some(true) {
                let reason = [text("errorTag"), text("errorMessage")].join(" ");
                let reason = if reason.trim().is_empty() { "the server gives no reason" } else { reason.trim() };
                return Err(failed(format!(
                    "all rows are stored in the table's log, but the table is suspended at transaction {applied} of \
                     {committed} ({reason}), so they cannot be selected; mend the cause and run ALTER TABLE '{table}' \
                     RESUME WAL"
                )));
            }
            if applied >= *goal.get_or_insert(committed) {
                return Ok(started.elapsed());
            }
            if started.elapsed() >= timeout {
                return Err(failed(format!(
                    "all rows are stored, but after {timeout:?} they cannot be selected yet: transaction {applied} of \
                     {} is applied",
                    goal.unwrap_or(committed)
                )));
            }
            self.pause(pause, &mut *tick)?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
