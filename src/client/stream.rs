//! Writing a frame over TCP, where the server answers nothing: no look-up, no statements, no second try.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use arrow_schema::Schema;

use super::Client;
use super::write::{OnProgress, resume_fits};
use crate::config::ConfigError;
use crate::error::{Cause, Error, Result};
use crate::options::{Create, OnError, ProtocolVersion, WriteOptions};
use crate::plan::{Context, Plan, Target};
use crate::report::WriteReport;
use crate::sender::{Account, Job, Resumable, Way, write};
use crate::transport::TcpTransport;

impl Client {
    /// Plans without asking a server. Nobody says what it speaks: version 1 is what all speak, and what official clients
    /// choose.
    pub(super) fn plan_unasked(&self, schema: &Schema, options: &WriteOptions) -> Result<Plan> {
        let config = &self.0.config;
        let context = Context {
            table: options.table.as_deref().or(config.table()),
            default_at: config.at(),
            version: options.protocol_version.or(config.protocol_version()).unwrap_or(ProtocolVersion::V1),
            max_name_len: config.max_name_len(),
            nanos: true,
            target: Target::Unknown,
            is_official: false,
            takes_cells: false,
            is_offline: false,
            cuts_nanos: true,
        };
        Plan::try_new(schema, options, &context)
    }

    /// Writes what is left into one connection.
    pub(super) fn stream(
        &self,
        transport: &TcpTransport,
        options: &WriteOptions,
        deadline: Option<(Instant, Duration)>,
        feed: &mut Resumable<'_>,
        account: &mut Account,
        progress: OnProgress<'_>,
    ) -> Result<WriteReport> {
        let inner = &*self.0;
        let scheme = inner.config.scheme().name();
        if !options.unacknowledged {
            return Err(ConfigError::Unacknowledged { scheme }.into());
        }
        if let Some(what) = takes_answers(options) {
            return Err(Error::of(Cause::Unanswered { what, scheme }));
        }
        let mut options = Cow::Borrowed(options);
        let plan = loop {
            let plan = self.plan_unasked(&feed.schema(), &options)?;
            resume_fits(&options, plan.table())?;
            let job = Job {
                plan: &plan,
                runtime: self.runtime()?,
                way: Way::Tcp(transport),
                pool: &inner.pool,
                max_rows: inner.config.auto_flush_rows(),
                max_bytes: inner.config.auto_flush_bytes(),
                max_buf_size: inner.config.max_buf_size(),
                atomic: false,
                deadline,
            };
            match write(&job, feed, account, &mut *progress) {
                Ok(()) => break plan,
                Err(halt) if halt.error.is_new_schema() => options = plan.with_its_at(options),
                Err(halt) => return Err(halt.error),
            }
        };
        let note = format!(
            "nothing was acknowledged: {scheme} took the rows, and the connection showed no sign of a failure; whether \
             they are stored only the table tells, and the server's log"
        );
        Ok(account.report(&plan, false, vec![note]))
    }
}

/// What is asked for that cannot be without an answer of the server.
fn takes_answers(options: &WriteOptions) -> Option<&'static str> {
    if options.atomic {
        return Some("a write is not stored whole or not at all (`atomic`)");
    }
    if options.on_error == OnError::Quarantine {
        return Some("refused rows cannot be told from others (`on_error=\"quarantine\"`)");
    }
    if options.wait_visible.is_some() {
        return Some("rows cannot be waited for (`wait_visible`)");
    }
    if options.spool_dir.is_some() {
        return Some("rows that were not taken cannot be told from others (`spool_dir`)");
    }
    if options.check == Some(true) {
        return Some("the table cannot be looked up (`check=True`)");
    }
    match options.create {
        Create::Table(_) => Some("a table cannot be made by a TableSpec (`create`)"),
        Create::Never => Some("a missing table cannot be told from others (`create=\"never\"`)"),
        Create::Auto | Create::Server => None,
    }
}
