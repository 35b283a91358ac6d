//! What a schema, a name, an option or a table can do wrong before any value is looked at.

use crate::error::ErrorKind;

/// What a schema, a name or an option can do wrong. Every text ends with the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A table or column name is empty.
    #[error("the {what} name is empty; give it a name")]
    NameEmpty {
        /// `table` or `column`.
        what: &'static str,
    },
    /// A configuration string, of which nothing but its scheme is shown.
    #[error(
        "a configuration string ({scheme}::...) stands where the table's name belongs; pass both, each in its place"
    )]
    TableIsConf {
        /// Its scheme.
        scheme: String,
    },
    /// A character that QuestDB does not take in names.
    #[error(
        "{what} name {name:?} holds the character {character:?} at byte {position}, which QuestDB refuses in {what} names; rename it"
    )]
    NameCharacter {
        /// `table` or `column`.
        what: &'static str,
        /// The name.
        name: String,
        /// The character.
        character: char,
        /// Its position in bytes.
        position: usize,
    },
    /// A name longer than the server's limit.
    #[error(
        "{what} name {name:?} has {bytes} bytes in UTF-8, more than the {max_len} that the server allows; shorten it"
    )]
    NameTooLong {
        /// `table` or `column`.
        what: &'static str,
        /// The name.
        name: String,
        /// Its length.
        bytes: usize,
        /// The limit.
        max_len: usize,
    },
    /// A dot at the start or the end of a table name, or beside another.
    #[error(
        "table name {name:?} has a dot at byte {position}: dots may only stand inside, one at a time; rename the table"
    )]
    NameDot {
        /// The name.
        name: String,
        /// The dot's position in bytes.
        position: usize,
    },
    /// A space at the start or the end of a table name.
    #[error("table name {name:?} starts or ends with a space, which QuestDB refuses; strip it")]
    NameSpace {
        /// The name.
        name: String,
    },
    /// No table was named.
    #[error("no table was given; name it with `table`, or put `table=...;` into the configuration string")]
    NoTable,
    /// An option names a column that the frame does not have.
    #[error("`{argument}` names no column of the frame{}; the frame has: {columns}", suggestion(.nearest))]
    UnknownColumn {
        /// `at` or `symbols`.
        argument: &'static str,
        /// The most similar column.
        nearest: Option<String>,
        /// The frame's columns, shortened.
        columns: String,
    },
    /// `at` was not given and no column offers itself.
    #[error("no `at` was given and the frame has no timestamp column; name a timestamp or date column with `at`, or say that the server's clock is meant ({server})", server = SERVER_CLOCK)]
    NoAtCandidate,
    /// `at` was not given and several columns offer themselves.
    #[error("no `at` was given and the frame has several timestamp columns: {candidates}; name one of them with `at`")]
    SeveralAtCandidates {
        /// Their names.
        candidates: String,
    },
    /// The `at` column is no timestamp.
    #[error("`at` must be a timestamp or date column, and this is {data_type}; cast it to a timestamp")]
    AtType {
        /// Its type.
        data_type: String,
    },
    /// A constant `at` before the epoch or beyond what the wire carries.
    #[error(
        "the constant `at` {value} is out of range: QuestDB takes instants from 1970-01-01 to 9999-12-31, in nanoseconds to 2261-12-31"
    )]
    AtConstant {
        /// The value.
        value: i64,
    },
    /// A constant `at` of nanoseconds where microseconds are stored.
    #[error(
        "the constant `at` of {value} nanoseconds has digits beyond the microseconds that the table stores; cut them yourself, or {cure}"
    )]
    AtConstantLossy {
        /// The value.
        value: i64,
        /// What else helps.
        cure: &'static str,
    },
    /// A symbol that holds no strings.
    #[error(
        "`symbols` lists this column, and symbols hold strings, not {data_type}; cast it to a string or take it out of `symbols`"
    )]
    SymbolType {
        /// Its type.
        data_type: String,
    },
    /// The `at` column is listed among the symbols.
    #[error("the column is `at` and listed in `symbols`; it cannot be both, so take it out of `symbols`")]
    SymbolIsAt,
    /// A type that has no form on the wire.
    #[error("type {data_type} is not supported; {advice}")]
    Unsupported {
        /// The Arrow type.
        data_type: String,
        /// The cast that would help.
        advice: &'static str,
    },
    /// A type that needs a newer protocol version than the one that is spoken.
    #[error("{what} need protocol version {version} (QuestDB {since} and newer), and this is version {spoken}; {cure}")]
    NeedsVersion {
        /// The values.
        what: &'static str,
        /// The version they need.
        version: u8,
        /// The first server that speaks it.
        since: &'static str,
        /// The version that is spoken.
        spoken: u8,
        /// What to do with the frame.
        cure: &'static str,
    },
    /// Two columns whose names QuestDB takes for the same.
    #[error(
        "its name equals that of column {other:?} but for case, and QuestDB does not tell them apart; rename one of them"
    )]
    SameName {
        /// The earlier column.
        other: String,
    },
    /// A column whose name an earlier one has, too.
    #[error("the frame has more than one column of this name; rename one of them, or leave it out")]
    NameTwice,
    /// A field that the server would take for the designated timestamp.
    #[error(
        "the table's designated timestamp is called {designated:?}, so the server would let this column override `at`; pass at={name:?} if it is the row's time, else rename it"
    )]
    ShadowsDesignated {
        /// The designated timestamp.
        designated: String,
        /// The column.
        name: String,
    },
    /// A field in the place of the designated timestamp that is none.
    #[error(
        "the table's designated timestamp is called {designated:?}, so this column would be the row's time, and it holds no timestamps; rename it, or cast it to a timestamp"
    )]
    DesignatedType {
        /// The designated timestamp.
        designated: String,
    },
    /// None of the column's values could go into the column of the table.
    #[error("the table's column is {column_type} and the frame's {data_type}: {why}{}", or_run(.ddl))]
    Conflict {
        /// The QuestDB type.
        column_type: String,
        /// The Arrow type.
        data_type: String,
        /// Why, and what to do with the frame.
        why: String,
        /// What to do with the table.
        ddl: Option<String>,
    },
    /// The table is missing and `create` says that it must not be made.
    #[error("the table does not exist and create=\"never\" forbids making it; check the name, or run: {ddl}")]
    MissingTable {
        /// SQL that makes it.
        ddl: String,
    },
    /// A column is missing and `create` says that it must not be made.
    #[error("the table has no such column and create=\"never\" forbids making it{}; check the name, or run: {ddl}", suggestion(.nearest))]
    MissingColumn {
        /// The most similar column of the table.
        nearest: Option<String>,
        /// SQL that makes it.
        ddl: String,
    },
    /// `create` says that nothing must be made, and the server does not let us look whether anything is missing.
    #[error(
        "create=\"never\" needs to look the table up, and the server does not let us (GET /exec); allow it, or pass create=\"server\""
    )]
    CannotLook,
    /// A column that the server does not make by itself.
    #[error(
        "QuestDB does not make {column_type} columns by itself; pass create=\"auto\" where the server runs statements for this client, or run: {ddl}"
    )]
    NeedsStatement {
        /// The QuestDB type.
        column_type: String,
        /// SQL that makes it.
        ddl: String,
    },
    /// A table that ILP cannot write into.
    #[error("ILP cannot write into {what}; {cure}")]
    NotWritable {
        /// What it is.
        what: &'static str,
        /// What to do.
        cure: String,
    },
    /// A specification lists a column of nulls alone, of which no column is made.
    #[error(
        "`{argument}` lists this column, whose type is Null, so that no column is made of it; give it a type in `types`"
    )]
    Untyped {
        /// The part of the specification.
        argument: &'static str,
    },
    /// A column of booleans of which a stream's first rows have none.
    #[error(
        "rows before this one have no value there, and QuestDB has no boolean null; choose null_bool=\"false\" or null_bool=\"omit\" (they read false), or cast the column to a string"
    )]
    LateBoolean,
    /// A specification of a table that QuestDB would not take.
    #[error("{argument}={value:?} is not one; it is {expected}")]
    TableSpec {
        /// The part of the specification.
        argument: &'static str,
        /// What stands there.
        value: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// A stream whose batches are not of its schema.
    #[error(
        "from this row on the column is {found}, and the stream's schema says {planned}; cast the batches to one schema"
    )]
    TypeChanged {
        /// The type of the schema.
        planned: String,
        /// The type of the batch.
        found: String,
    },
    /// A specification calls a column a symbol that will be none.
    #[error(
        "`{argument}` lists this column, and it will be {column_type}; list it in `symbols`, or give it the type SYMBOL in `types`"
    )]
    NotSymbol {
        /// The part of the specification.
        argument: &'static str,
        /// The type that it will have.
        column_type: String,
    },
    /// There is no column to write.
    #[error("the frame has no column to write beside `at`; QuestDB rows need at least one symbol or field")]
    NothingToWrite,
}

/// How callers name the server's clock, in both languages.
const SERVER_CLOCK: &str = "Python: qf.ServerTimestamp, Rust: At::Server";

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default()
}

fn or_run(ddl: &Option<String>) -> String {
    ddl.as_ref().map(|ddl| format!(", or run: {ddl}")).unwrap_or_default()
}

impl PlanError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NameEmpty { .. }
            | Self::NameCharacter { .. }
            | Self::TableIsConf { .. }
            | Self::NameTooLong { .. }
            | Self::NameDot { .. }
            | Self::NameSpace { .. } => ErrorKind::InvalidName,
            Self::AtConstant { .. } | Self::AtConstantLossy { .. } => ErrorKind::InvalidTimestamp,
            Self::AtType { .. }
            | Self::SymbolType { .. }
            | Self::Unsupported { .. }
            | Self::DesignatedType { .. }
            | Self::Conflict { .. }
            | Self::TypeChanged { .. }
            | Self::LateBoolean
            | Self::NothingToWrite => ErrorKind::BadDataFrame,
            Self::NeedsVersion { .. } => ErrorKind::ProtocolVersionError,
            Self::NoTable
            | Self::UnknownColumn { .. }
            | Self::NoAtCandidate
            | Self::SeveralAtCandidates { .. }
            | Self::SymbolIsAt
            | Self::SameName { .. }
            | Self::NameTwice
            | Self::MissingTable { .. }
            | Self::MissingColumn { .. }
            | Self::CannotLook
            | Self::NeedsStatement { .. }
            | Self::NotWritable { .. }
            | Self::TableSpec { .. }
            | Self::Untyped { .. }
            | Self::NotSymbol { .. }
            | Self::ShadowsDesignated { .. } => ErrorKind::InvalidApiCall,
        }
    }
}
