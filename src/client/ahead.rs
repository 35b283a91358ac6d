//! The question about a table, asked before its answer is needed: while the caller still makes a frame of what it has.

use std::time::Instant;

use super::hosts::Host;
use super::tables::{Answer, Ask, IDENTITY_KEPT, look_up};
use super::{Client, Servers, Started};
use crate::transport::TransportError;

/// A question that is under way; see [`Client::ask_ahead`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Ahead {
    address: String,
    table: String,
    asked: Instant,
    pub(super) answer: Started<Result<Answer, TransportError>>,
}

impl Ahead {
    /// Whether this table of this server was asked about.
    pub(super) fn is_of(&self, host: &Host, table: &str) -> bool {
        self.address == host.address && self.table == table
    }

    /// Whether the answer is still to be believed.
    pub(super) fn is_recent(&self) -> bool {
        self.asked.elapsed() < IDENTITY_KEPT
    }
}

impl Client {
    /// Asks which table a name stands for, if a write that begins now would ask no more than that, and does not wait for
    /// the answer. Whoever has begun a write can go on with it meanwhile, and hands the answer over in
    /// [`write_asked`](Self::write_asked): after a pause the server takes longer to wake up than a small frame to be made.
    #[doc(hidden)]
    #[must_use]
    pub fn ask_ahead(&self, table: Option<&str>) -> Option<Ahead> {
        let Servers::Http(hosts) = &self.0.servers else { return None };
        let table = table.or(self.0.config.table()).filter(|table| !table.is_empty())?;
        let (host, runtime) = (hosts.current(), self.runtime().ok()?);
        if !matches!(host.tables.ask(table), Ask::Identity) {
            return None;
        }
        let asked = Instant::now();
        let answer = Started::new(runtime, look_up(host.transport.clone(), table.to_owned(), true));
        Some(Ahead { address: host.address.clone(), table: table.to_owned(), asked, answer })
    }
}
