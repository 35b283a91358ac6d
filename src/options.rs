//! What a caller may choose for one write: [`WriteOptions`] and the small enums it is made of.
//!
//! Plain data without behaviour; every choice is judged by the plan, never here.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Delivery;
use crate::table_spec::TableSpec;

/// The ILP protocol version, which decides the forms values may take on the wire.
///
/// Source: `spec/ilp-wire.md` section 1. Negotiated with the server unless set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ProtocolVersion {
    /// Plain text only. Fields have microseconds at most: a write refuses finer values, unless it is not to look at the
    /// table (`check(false)`, TCP). Then they are cut, as by the official client, and by [`to_ilp`](crate::to_ilp).
    V1 = 1,
    /// Binary `f64`, binary arrays, timestamps with their unit. QuestDB 9.0 and newer.
    V2 = 2,
    /// Version 2 and decimals. QuestDB 9.2 and newer.
    V3 = 3,
}

impl ProtocolVersion {
    /// The version with this number, or `None` if there is no such version.
    ///
    /// ```
    /// use questframe::ProtocolVersion;
    /// assert_eq!(ProtocolVersion::from_number(2), Some(ProtocolVersion::V2));
    /// assert_eq!(ProtocolVersion::from_number(9), None);
    /// ```
    pub fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            3 => Some(Self::V3),
            _ => None,
        }
    }

    /// The number of the version: 1, 2 or 3.
    pub fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.number())
    }
}

/// Where the designated timestamp of every row comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// The column of this name: a timestamp or a date.
    Column(String),
    /// The server's clock when the row arrives. Such rows cannot be deduplicated.
    Server,
    /// One instant for all rows, in nanoseconds since the epoch.
    Nanos(i64),
    /// One instant for all rows, in microseconds since the epoch.
    Micros(i64),
}

impl At {
    /// The column of this name.
    pub fn column(name: impl Into<String>) -> Self {
        Self::Column(name.into())
    }
}

impl From<&str> for At {
    fn from(name: &str) -> Self {
        Self::Column(name.to_owned())
    }
}

impl From<String> for At {
    fn from(name: String) -> Self {
        Self::Column(name)
    }
}

/// Which string columns become `SYMBOL`s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Symbols {
    /// Dictionary columns with string values (Polars Categorical and Enum, pandas category).
    #[default]
    Auto,
    /// Every string column, dictionary or not.
    All,
    /// None; dictionaries are sent as plain strings.
    None,
    /// Exactly these columns.
    Columns(Vec<String>),
    /// Exactly the columns at these positions, counted from 0: of two columns of one name the name does not tell.
    Positions(Vec<usize>),
}

/// Who makes a missing table, or a missing column, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Create {
    /// A statement of this client's, before the first row: the frame's columns in its order and under its names, the
    /// designated timestamp under its own name, partitions of a day. Where the server does not run statements for us it
    /// makes the table as with [`Server`](Self::Server), and the report says so.
    #[default]
    Auto,
    /// As [`Auto`](Self::Auto), with these choices.
    Table(TableSpec),
    /// The server, as ILP does it: the designated timestamp is called `timestamp`, partitions are days, and there are
    /// no decimals.
    Server,
    /// Nobody: a missing table or column is an error.
    Never,
}

impl From<TableSpec> for Create {
    fn from(spec: TableSpec) -> Self {
        Self::Table(spec)
    }
}

/// What a null in the `at` column means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NullAt {
    /// An error that names the row.
    #[default]
    Error,
    /// The row gets the server's clock.
    Server,
}

/// What a null in a boolean column means. QuestDB has no boolean null: an omitted value reads as `false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NullBool {
    /// An error that names the column and the row.
    #[default]
    Error,
    /// `false` is sent.
    False,
    /// Nothing is sent; the server stores `false`.
    Omit,
}

/// What a row means in which every symbol and field is null. ILP has no form for such a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmptyRows {
    /// An error that names the row.
    #[default]
    Error,
    /// The row is left out and counted in the report.
    Skip,
}

/// What happens to NaN in float columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Nan {
    /// It is sent as NaN; the server reads it back as NULL.
    #[default]
    Send,
    /// It is left out like a null.
    Omit,
}

/// What happens to rows that the server refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnError {
    /// The write ends with an error that names the first of them.
    #[default]
    Raise,
    /// They are set aside, with the server's reason, and all others are stored; the report has them.
    Quarantine,
}

/// The options of one write. Made by [`WriteOptions::table`], refined by the methods named after each option.
///
/// ```
/// use questframe::{ProtocolVersion, Symbols, WriteOptions};
/// let options = WriteOptions::table("trades")
///     .at("timestamp")
///     .symbols(Symbols::Columns(vec!["side".into()]))
///     .protocol_version(ProtocolVersion::V2);
/// assert_eq!(options.table_name(), Some("trades"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    pub(crate) table: Option<String>,
    pub(crate) at: Option<At>,
    pub(crate) symbols: Symbols,
    pub(crate) create: Create,
    pub(crate) check: Option<bool>,
    pub(crate) connections: Option<usize>,
    pub(crate) ordered: Option<bool>,
    pub(crate) protocol_version: Option<ProtocolVersion>,
    pub(crate) null_at: NullAt,
    pub(crate) null_bool: NullBool,
    pub(crate) empty_rows: EmptyRows,
    pub(crate) nan: Nan,
    pub(crate) deadline: Option<Duration>,
    pub(crate) retry_in_doubt: bool,
    pub(crate) on_error: OnError,
    pub(crate) max_rejected: Option<u64>,
    pub(crate) atomic: bool,
    pub(crate) resume: Option<Delivery>,
    pub(crate) leave_doubtful: bool,
    pub(crate) wait_visible: Option<Duration>,
    pub(crate) spool_dir: Option<PathBuf>,
    pub(crate) unacknowledged: bool,
}

impl WriteOptions {
    /// Options for writing into this table, everything else at its default.
    pub fn table(name: impl Into<String>) -> Self {
        Self { table: Some(name.into()), ..Self::default() }
    }

    /// The table's name, if it was given here and not left to the configuration string.
    pub fn table_name(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// The source of the designated timestamp. Default: an existing table's designated column if the
    /// frame has it, else the frame's only timestamp column.
    pub fn at(mut self, at: impl Into<At>) -> Self {
        self.at = Some(at.into());
        self
    }

    /// Which string columns are symbols. Default: [`Symbols::Auto`].
    pub fn symbols(mut self, symbols: Symbols) -> Self {
        self.symbols = symbols;
        self
    }

    /// Who makes a missing table, and how. Default: [`Create::Auto`].
    pub fn create(mut self, create: impl Into<Create>) -> Self {
        self.create = create.into();
        self
    }

    /// Whether the target table is looked up before the first byte is sent. Default: true.
    ///
    /// Without it values are not held against the types of the table's columns, nothing is made but by the server, and
    /// the rows of a first write after the table was dropped elsewhere may be lost. It is an error with [`Create::Table`] and
    /// [`Create::Never`]: nobody would know that the table is missing.
    pub fn check(mut self, check: bool) -> Self {
        self.check = Some(check);
        self
    }

    /// How many requests may be in flight at once. Default: 2, or what the configuration string says.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = Some(connections);
        self
    }

    /// Whether a request waits for earlier ones whose timestamps overlap its own, so that the last row of a
    /// key wins and equal timestamps keep their order. Default: true.
    pub fn ordered(mut self, ordered: bool) -> Self {
        self.ordered = Some(ordered);
        self
    }

    /// The protocol version. Default: the highest the server and this crate have in common;
    /// without a server ([`to_ilp`](crate::to_ilp)) version 3.
    pub fn protocol_version(mut self, version: ProtocolVersion) -> Self {
        self.protocol_version = Some(version);
        self
    }

    /// What a null in `at` means. Default: [`NullAt::Error`].
    pub fn null_at(mut self, null_at: NullAt) -> Self {
        self.null_at = null_at;
        self
    }

    /// What a null boolean means. Default: [`NullBool::Error`].
    pub fn null_bool(mut self, null_bool: NullBool) -> Self {
        self.null_bool = null_bool;
        self
    }

    /// What an all-null row means. Default: [`EmptyRows::Error`].
    pub fn empty_rows(mut self, empty_rows: EmptyRows) -> Self {
        self.empty_rows = empty_rows;
        self
    }

    /// What happens to NaN. Default: [`Nan::Send`].
    pub fn nan(mut self, nan: Nan) -> Self {
        self.nan = nan;
        self
    }

    /// The most time the whole call may take, everything included: looking the table up, encoding, sending, retries.
    /// Default: none; each request and its retries have limits of their own (`request_timeout`, `retry_timeout`).
    /// When it has passed, what is in flight is in doubt.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Whether a request that may have been stored is sent again to a table that would then have its rows twice.
    /// Default: false; such rows are reported as in doubt. Tables with deduplication keys do not need it.
    pub fn retry_in_doubt(mut self, retry_in_doubt: bool) -> Self {
        self.retry_in_doubt = retry_in_doubt;
        self
    }

    /// What happens to rows that the server refuses. Default: [`OnError::Raise`].
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// How many rows [`OnError::Quarantine`] may set aside before the write ends with an error. Default: 1,000, or 1 %
    /// of the rows that were reached if that is less, but not less than ten; so that a mistake in a whole column is
    /// noticed after a few requests.
    pub fn max_rejected(mut self, max_rejected: u64) -> Self {
        self.max_rejected = Some(max_rejected);
        self
    }

    /// Whether the frame goes in one request, and so is stored whole or not at all. Default: false. A frame whose lines
    /// are longer than `max_buf_size` (100 MiB by default) is refused before anything is sent. Costs memory for all of
    /// its lines at once.
    pub fn atomic(mut self, atomic: bool) -> Self {
        self.atomic = atomic;
        self
    }

    /// Goes on after a failed write of the same rows: leaves out what [`Error::delivery`](crate::Error::delivery) says
    /// was stored. The data must be the same, read from its start; the rows of the new report and of a new error are
    /// numbered as before.
    pub fn resume(mut self, delivery: Delivery) -> Self {
        self.resume = Some(delivery);
        self
    }

    /// Whether [`resume`](Self::resume) also sends the rows that are in doubt. Default: true.
    pub fn doubtful(mut self, doubtful: bool) -> Self {
        self.leave_doubtful = !doubtful;
        self
    }

    /// Waits, once all rows are acknowledged, until they can be selected, at most so long. Default: does not wait.
    pub fn wait_visible(mut self, timeout: Duration) -> Self {
        self.wait_visible = Some(timeout);
        self
    }

    /// A folder for rows that no server takes: they are kept there, on disk, and the write succeeds with
    /// [`WriteReport::rows_spooled`](crate::WriteReport::rows_spooled). Default: `spool_dir=` of the configuration
    /// string; none without it.
    ///
    /// What waits there is sent by the next write that finds a server, before its own rows, or by
    /// [`Client::drain_spool`](crate::Client::drain_spool); each segment at least once. Rows that may have been stored
    /// already are kept only if the table's keys make a second copy harmless, or with
    /// [`retry_in_doubt`](Self::retry_in_doubt); else the write fails with them in doubt. One process at a time may use
    /// a folder; `spool_max_bytes` (1 GiB) limits its size.
    pub fn spool_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool_dir = Some(folder.into());
        self
    }

    /// Whether rows may go over a transport on which the server acknowledges nothing: `tcp` and `tcps`. Default: false,
    /// and such a write is an error. Over HTTP it changes nothing.
    ///
    /// There the table is not looked up, the protocol version is 1 unless one is given here or in the configuration
    /// string, and each write has a connection of its own, which takes at least a fifth of a second: the only sign that
    /// the server did not like a row is that it closes the connection a moment later, so that is waited for. Rows whose
    /// connection had not ended by then count as acknowledged, in the report and in
    /// [`Error::delivery`](crate::Error::delivery), though nobody has said that they are stored; the others are in doubt.
    pub fn unacknowledged(mut self, unacknowledged: bool) -> Self {
        self.unacknowledged = unacknowledged;
        self
    }
}
