//! One public error: what went wrong, where in the frame, and what had been stored by then.
//!
//! Stages have their own `thiserror` enums (`ConfigError`, `PlanError`, `ValueError`, `TransportError`),
//! each with the cure in its text; [`Error`] boxes them with a position, so that a `Result` stays one word wide
//! and callers ask [`Error::kind`] instead of reading strings. No secret ever enters an error: the
//! configuration hides them before an error can see them.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use arrow_schema::ArrowError;

use crate::check::ValueError;
use crate::config::ConfigError;
use crate::encode::RowError;
use crate::frontend::NewSchema;
use crate::plan::PlanError;
use crate::spool::SpoolError;
use crate::transport::TransportError;

/// A `Result` with the crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error is about; the names are the official clients' `IngressErrorCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The host's name has no address.
    CouldNotResolveAddr,
    /// The call itself is wrong: an unknown column, a missing argument, a contradiction between options.
    InvalidApiCall,
    /// The connection could not be made, broke, or timed out.
    SocketError,
    /// Text that is not UTF-8.
    InvalidUtf8,
    /// A table or column name that QuestDB does not take.
    InvalidName,
    /// A designated timestamp that is null, negative or too large.
    InvalidTimestamp,
    /// The server refused the credentials.
    AuthError,
    /// The TLS handshake failed or certificates could not be loaded.
    TlsError,
    /// The server does not speak ILP over HTTP.
    HttpNotSupported,
    /// The server refused the data, or failed.
    ServerFlushError,
    /// The configuration string or an option is invalid.
    ConfigError,
    /// An array value that cannot be sent.
    ArrayError,
    /// The server and this client have no protocol version in common, or the value needs a newer one.
    ProtocolVersionError,
    /// A decimal that cannot be sent.
    DecimalError,
    /// A value or a type in the frame that cannot be sent.
    BadDataFrame,
}

/// One thing wrong with a frame, and where.
#[derive(Debug)]
pub struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    cause: Cause,
    column: Option<String>,
    row: Option<u64>,
    value: Option<String>,
    /// How often a request was sent, and for how long, before it was given up.
    tries: Option<(u64, Duration)>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Cause {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error(transparent)]
    Row(#[from] RowError),
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The caller's own stream or callback failed; the text is theirs.
    #[error("reading the frame failed: {0}")]
    Source(String),
    /// A batch could not be read.
    #[error("reading the frame failed: {}", said_of(.0))]
    Unread(#[source] Box<ArrowError>),
    /// A statement that makes a table or a column failed.
    #[error("making the table ready failed: {1}; the statement was: {0}")]
    Statement(String, #[source] Box<TransportError>),
    /// A connection over TCP has failed before.
    #[error("not connected to database: the connection has failed before; make another sender")]
    NotConnected,
    /// The client was made before a fork.
    #[error(
        "the client was made in another process, and its connections do not survive a fork; make a client in this process"
    )]
    Forked,
    /// The caller asked for the write to stop.
    #[error("the write was interrupted")]
    Interrupted,
    /// The time of the whole call is over.
    #[error(
        "the deadline of {0:?} for the whole call has passed; give it more time, and go on with what was not stored by `resume`"
    )]
    Deadline(Duration),
    /// The server refused too many rows to set them aside one by one.
    #[error(
        "the server refused {rejected} of the {reached} rows it has looked at, more than may be set aside (`max_rejected`); it looks like a mistake in a whole column. The first of them: {first}"
    )]
    TooManyRejected { rejected: u64, reached: u64, first: String },
    /// The buffers are larger than the machine.
    #[error(
        "there is no memory for a buffer of {0} bytes; lower \"pool_bytes\", of which each of four buffers is a quarter"
    )]
    NoMemory(usize),
    /// The write that is to be gone on with was another one.
    #[error("`resume` does not fit: {0}")]
    Resume(String),
    /// Rows could not be kept on disk, or sent from there.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Rows could not be delivered, and not be kept on disk either.
    #[error("{1}; the rows were to be kept because of this: {0}")]
    NotKept(String, #[source] SpoolError),
    /// A spool was asked for, and none is named.
    #[error("no spool folder is named; give `spool_dir` here or in the configuration string")]
    NoSpool,
    /// What takes an answer of the server, which gives none.
    #[error(
        "{what} over {scheme:?}, where the server answers nothing; use \"http\" or \"https\" and the server's HTTP port \
         (usually 9000)"
    )]
    Unanswered { what: &'static str, scheme: &'static str },
    /// What takes a look at the table, which is not looked up.
    #[error("with `check=False` the table is not looked up, and {0}; leave out one of them")]
    Unchecked(&'static str),
    /// What is told to store all rows or none, and all but some.
    #[error(
        "`atomic` stores all rows or none, and `on_error=\"quarantine\"` all but those that are refused; leave out one of them"
    )]
    AtomicQuarantine,
    /// The rows are stored, and cannot be selected yet.
    #[error("{0}")]
    NotVisible(String),
}

impl Problem {
    pub(crate) fn new(cause: impl Into<Cause>) -> Self {
        Self(Box::new(Parts { cause: cause.into(), column: None, row: None, value: None, tries: None }))
    }

    pub(crate) fn with_column(mut self, column: impl Into<String>) -> Self {
        self.0.column = Some(column.into());
        self
    }

    pub(crate) fn with_row(mut self, row: u64) -> Self {
        self.0.row = Some(row);
        self
    }

    pub(crate) fn with_value(mut self, value: impl Into<String>) -> Self {
        self.0.value = Some(value.into());
        self
    }

    /// Tells how often a request was sent before it was given up.
    pub(crate) fn tries(mut self, tries: u64, elapsed: Duration) -> Self {
        self.0.tries = (tries > 1).then_some((tries, elapsed));
        self
    }

    /// The frame's column that it is about, if it is about one.
    pub fn column(&self) -> Option<&str> {
        self.0.column.as_deref()
    }

    /// The frame's row that it is about, or the first of them; from 0.
    pub fn row(&self) -> Option<u64> {
        self.0.row
    }

    /// The value that is wrong, as text, shortened if it is long.
    pub fn value(&self) -> Option<&str> {
        self.0.value.as_deref()
    }

    /// What kind of problem this is.
    pub fn kind(&self) -> ErrorKind {
        match &self.0.cause {
            Cause::Config(_) | Cause::NoMemory(_) => ErrorKind::ConfigError,
            Cause::Plan(error) => error.kind(),
            Cause::Value(error) => error.kind(),
            Cause::Row(error) => error.kind(),
            Cause::Transport(error) => error.kind(),
            Cause::Statement(_, error) => error.kind(),
            Cause::Source(_) | Cause::Unread(_) => ErrorKind::BadDataFrame,
            Cause::Forked | Cause::Interrupted | Cause::Resume(_) => ErrorKind::InvalidApiCall,
            Cause::Unanswered { .. } | Cause::Unchecked(_) | Cause::AtomicQuarantine => ErrorKind::InvalidApiCall,
            Cause::Deadline(_) | Cause::NotConnected => ErrorKind::SocketError,
            Cause::Spool(SpoolError::Locked { .. } | SpoolError::NoFolder { .. }) | Cause::NoSpool => {
                ErrorKind::ConfigError
            }
            Cause::Spool(_) | Cause::NotKept(..) => ErrorKind::SocketError,
            Cause::TooManyRejected { .. } | Cause::NotVisible(_) => ErrorKind::ServerFlushError,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { cause, column, row, value, tries } = &*self.0;
        if let Some(column) = column {
            write!(f, "column {column:?}")?;
        }
        if let Some(row) = row {
            write!(f, "{}row {row}", if column.is_some() { ", " } else { "" })?;
        }
        if let Some(value) = value {
            write!(f, " (value {value})")?;
        }
        if column.is_some() || row.is_some() {
            write!(f, ": ")?;
        }
        write!(f, "{cause}")?;
        match tries {
            Some((tries, elapsed)) => write!(f, " (tried {tries} times in {:.1} s)", elapsed.as_secs_f64()),
            None => Ok(()),
        }
    }
}

/// Which rows of the frame were stored when a write failed: three disjoint sets of row ranges that cover the frame, or
/// of a stream the rows seen so far. Empty in errors that are not of a write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Rows the server acknowledged; over TCP, where it does not, those handed over while nothing spoke against it; of a
    /// stream whose rest could not be kept on disk also those before it that are there.
    pub acked: Vec<Range<u64>>,
    /// Rows whose request may or may not have been stored.
    pub doubtful: Vec<Range<u64>>,
    /// Rows that were not stored.
    pub unsent: Vec<Range<u64>>,
    /// The table, where it is known: a write that goes on must go to the same.
    pub table: Option<String>,
}

impl Delivery {
    /// The number of acknowledged rows.
    pub fn rows_acked(&self) -> u64 {
        self.acked.iter().map(|range| range.end.saturating_sub(range.start)).sum()
    }
}

/// The error of every fallible function of this crate.
///
/// ```
/// let error = questframe::Client::from_conf("http::addr").unwrap_err();
/// assert_eq!(error.kind(), questframe::ErrorKind::ConfigError);
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    problems: Vec<Problem>,
    table: Option<String>,
    delivery: Delivery,
    /// Whether nobody acknowledges rows where these went.
    is_unacknowledged: bool,
    /// What happened before, and should be known too.
    note: Option<String>,
}

impl Error {
    pub(crate) fn new(problem: Problem) -> Self {
        Self::from_problems(vec![problem])
    }

    /// `problems` holds at least one; the first decides the error's kind.
    pub(crate) fn from_problems(problems: Vec<Problem>) -> Self {
        debug_assert!(!problems.is_empty(), "an error needs a problem");
        let delivery = Delivery::default();
        Self(Box::new(Inner { problems, table: None, delivery, is_unacknowledged: false, note: None }))
    }

    pub(crate) fn unread(error: ArrowError) -> Self {
        Self::new(Problem::new(Cause::Unread(Box::new(error))))
    }

    pub(crate) fn source(message: impl fmt::Display) -> Self {
        Self::new(Problem::new(Cause::Source(message.to_string())))
    }

    /// A statement of a thousand columns is told by its start.
    pub(crate) fn statement(mut statement: String, error: TransportError) -> Self {
        const SHOWN: usize = 400;
        if let Some((end, _)) = statement.char_indices().nth(SHOWN) {
            statement.truncate(end);
            statement.push('…');
        }
        Self::new(Problem::new(Cause::Statement(statement, Box::new(error))))
    }

    pub(crate) fn forked() -> Self {
        Self::new(Problem::new(Cause::Forked))
    }

    /// The error of a call that its caller ended.
    pub fn interrupted() -> Self {
        Self::of(Cause::Interrupted)
    }

    /// The error of a connection over TCP that has failed before.
    pub(crate) fn not_connected() -> Self {
        Self::of(Cause::NotConnected)
    }

    /// An error of no other room's.
    pub(crate) fn of(cause: Cause) -> Self {
        Self::new(Problem::new(cause))
    }

    /// Tells the value of the first problem.
    pub(crate) fn with_value(mut self, value: String) -> Self {
        if let Some(first) = self.0.problems.first_mut() {
            first.0.value = Some(value);
        }
        self
    }

    /// Tells how often the first problem's cause was tried, and for how long.
    pub(crate) fn with_tries(mut self, (tries, elapsed): (u64, Duration)) -> Self {
        if let Some(first) = self.0.problems.first_mut()
            && first.0.tries.is_none()
        {
            first.0.tries = (tries > 1).then_some((tries, elapsed));
        }
        self
    }

    pub(crate) fn with_table(mut self, table: &str) -> Self {
        self.0.table = Some(table.to_owned());
        self
    }

    pub(crate) fn with_delivery(mut self, delivery: Delivery) -> Self {
        self.0.delivery = Delivery { table: self.0.table.clone(), ..delivery };
        self
    }

    /// What should be known beside the error.
    pub(crate) fn note(&self) -> Option<String> {
        self.0.note.clone()
    }

    /// Has the text end with what should be known beside the error.
    pub(crate) fn with_note(mut self, note: Option<String>) -> Self {
        self.0.note = note.or(self.0.note);
        self
    }

    /// As [`with_note`](Self::with_note), beside what it ends with already.
    pub(crate) fn with_more(self, more: Option<String>) -> Self {
        let notes: Vec<_> = self.note().into_iter().chain(more).collect();
        self.with_note((!notes.is_empty()).then(|| notes.join("; ")))
    }

    /// Has the text say less of rows that count as acknowledged.
    pub(crate) fn unacknowledged(mut self) -> Self {
        self.0.is_unacknowledged = true;
        self
    }

    /// Whether it is about a schema and the options.
    pub(crate) fn is_of_plan(&self) -> bool {
        self.first().is_some_and(|problem| matches!(problem.0.cause, Cause::Plan(_)))
    }

    fn first(&self) -> Option<&Problem> {
        self.0.problems.first()
    }

    /// What the error is about.
    pub fn kind(&self) -> ErrorKind {
        self.first().map_or(ErrorKind::InvalidApiCall, Problem::kind)
    }

    /// Everything that is wrong with the frame, in the order of its columns.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// The table that was written to, if it was known.
    pub fn table(&self) -> Option<&str> {
        self.0.table.as_deref()
    }

    /// The column of the first problem.
    pub fn column(&self) -> Option<&str> {
        self.first()?.0.column.as_deref()
    }

    /// The row of the first problem, counted from 0 over the whole frame.
    pub fn row(&self) -> Option<u64> {
        self.first()?.0.row
    }

    /// A short text of the value of the first problem.
    pub fn value(&self) -> Option<&str> {
        self.first()?.0.value.as_deref()
    }

    /// The HTTP status of the answer, if an answer was the error.
    pub fn status(&self) -> Option<u16> {
        match &self.first()?.0.cause {
            Cause::Transport(error) => error.status(),
            Cause::Statement(_, error) => error.status(),
            _ => None,
        }
    }

    /// What the server said, if it said something.
    pub fn server_message(&self) -> Option<&str> {
        match &self.first()?.0.cause {
            Cause::Transport(error) => error.server_message(),
            Cause::Statement(_, error) => error.server_message(),
            _ => None,
        }
    }

    /// The server's id of its error, which also stands in the server's log.
    pub fn error_id(&self) -> Option<&str> {
        match &self.first()?.0.cause {
            Cause::Transport(error) => error.error_id(),
            _ => None,
        }
    }

    /// Which rows were stored, may have been stored, and were not stored.
    pub fn delivery(&self) -> &Delivery {
        &self.0.delivery
    }

    /// Whether some rows may have been stored without an acknowledgement.
    pub fn in_doubt(&self) -> bool {
        !self.0.delivery.doubtful.is_empty()
    }

    /// The transport's error, if the server or the way to it is the cause.
    pub(crate) fn transport(&self) -> Option<&TransportError> {
        match &self.first()?.0.cause {
            Cause::Transport(error) => Some(error),
            Cause::Statement(_, error) => Some(error),
            _ => None,
        }
    }

    /// The transport's error, if it is one, or this error again.
    pub(crate) fn into_transport(mut self) -> Result<TransportError, Self> {
        let is_transport = matches!(self.first().map(|problem| &problem.0.cause), Some(Cause::Transport(_)));
        match self.0.problems.pop() {
            Some(Problem(parts)) if is_transport && self.0.problems.is_empty() => match parts.cause {
                Cause::Transport(error) => Ok(error),
                cause => Err(Self::of(cause)),
            },
            Some(problem) => {
                self.0.problems.push(problem);
                Err(self)
            }
            None => Err(self),
        }
    }

    /// Whether a stream goes on under another schema, for which it has to be planned.
    pub(crate) fn is_new_schema(&self) -> bool {
        matches!(self.first().map(|problem| &problem.0.cause), Some(Cause::Unread(error)) if NewSchema::is_said_by(error))
    }

    /// What a batch could not be read for.
    pub(crate) fn into_unread(mut self) -> Option<ArrowError> {
        match self.0.problems.pop()?.0.cause {
            Cause::Unread(error) => Some(*error),
            _ => None,
        }
    }

    /// Whether the deadline of the call ended it.
    pub(crate) fn is_late(&self) -> bool {
        matches!(self.first().map(|problem| &problem.0.cause), Some(Cause::Deadline(_)))
    }

    /// Whether the spool is the cause, and which.
    pub(crate) fn into_spool(self) -> Result<SpoolError, Self> {
        match self.first().map(|problem| &problem.0.cause) {
            Some(Cause::Spool(error)) => Ok(error.clone()),
            _ => Err(self),
        }
    }

    /// Whether the caller stopped the write.
    pub fn is_interrupted(&self) -> bool {
        matches!(self.first().map(|problem| &problem.0.cause), Some(Cause::Interrupted))
    }
}

fn write_ranges(f: &mut fmt::Formatter<'_>, what: &str, ranges: &[Range<u64>]) -> fmt::Result {
    const SHOWN: usize = 4;
    if ranges.is_empty() {
        return Ok(());
    }
    write!(f, "; {what}: rows ")?;
    for (i, range) in ranges.iter().take(SHOWN).enumerate() {
        write!(f, "{}{}..{}", if i == 0 { "" } else { ", " }, range.start, range.end)?;
    }
    if ranges.len() > SHOWN {
        write!(f, " and {} more ranges", ranges.len() - SHOWN)?;
    }
    Ok(())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(table) = &inner.table {
            write!(f, "table {table:?}")?;
        }
        match inner.problems.as_slice() {
            [one] => {
                if inner.table.is_some() {
                    // "table "t", column "c", row 3: ..." or "table "t": ...".
                    write!(f, "{}", if one.0.column.is_some() || one.0.row.is_some() { ", " } else { ": " })?;
                }
                write!(f, "{one}")?;
            }
            many => {
                let count = many.len();
                write!(f, "{}{count} problems", if inner.table.is_some() { ": " } else { "" })?;
                // All of them are in `problems`.
                const SHOWN: usize = 20;
                for problem in many.iter().take(SHOWN) {
                    write!(f, "\n  - {problem}")?;
                }
                if count > SHOWN {
                    write!(f, "\n  - and {} more", count - SHOWN)?;
                }
            }
        }
        let delivery = &inner.delivery;
        // Where nothing was sent yet, that says nothing.
        if self.transport().is_some() || !delivery.acked.is_empty() || !delivery.doubtful.is_empty() {
            let acked = if inner.is_unacknowledged { "handed over" } else { "stored" };
            write_ranges(f, acked, &delivery.acked)?;
            write_ranges(f, "in doubt", &delivery.doubtful)?;
            write_ranges(f, "not stored", &delivery.unsent)?;
        }
        match &inner.note {
            Some(note) => write!(f, "; {note}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}: {self})", self.kind())
    }
}

/// What an error of Arrow's says, or the one of somebody else's that it holds.
fn said_of(error: &ArrowError) -> String {
    match error {
        ArrowError::ExternalError(error) => error.to_string(),
        error => error.to_string(),
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.first().map(|problem| &problem.0.cause as _)
    }
}

macro_rules! from_cause {
    ($($cause:ty),*) => {$(
        impl From<$cause> for Error {
            fn from(cause: $cause) -> Self {
                Self::new(Problem::new(cause))
            }
        }
    )*};
}

from_cause!(ConfigError, PlanError, ValueError, RowError, TransportError);

const _: () = {
    const fn sent_between_threads<T: Send + Sync>() {}
    sent_between_threads::<Error>();
    assert!(size_of::<Error>() == size_of::<usize>());
};
