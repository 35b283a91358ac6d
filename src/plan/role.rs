//! The rules by which a column gets its role, and what a frame's schema can do wrong.
//!
//! Type rules: `spec/dataframe.md` sections 3 and 8; `at`: section 4 there.

use arrow_schema::{DataType, Field, Schema, TimeUnit};

use super::{AtPlan, Context, Target, WireUnit, wanted_at};
use crate::error::{ErrorKind, Problem};
use crate::options::{At, ProtocolVersion, Symbols, WriteOptions};

/// The name the server gives the designated timestamp of a table that it creates itself.
pub(super) const AUTO_DESIGNATED: &str = "timestamp";

/// What a column is for QuestDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A symbol, written before all fields.
    Symbol,
    /// A field of this wire type.
    Field(Wire),
    /// The designated timestamp.
    Timestamp,
    /// Not written: it holds no value.
    Skipped,
}

/// The type of a field on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// `t` or `f`.
    Boolean,
    /// Digits and `i`.
    Integer,
    /// Text in protocol version 1, eight raw bytes after that.
    Float,
    /// Text between quotes.
    String,
    /// A timestamp of this unit; nanoseconds are sent as microseconds in protocol version 1.
    Timestamp(WireUnit),
}

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
    /// Two columns whose names QuestDB takes for the same.
    #[error(
        "its name equals that of column {other:?} but for case, and QuestDB does not tell them apart; rename one of them"
    )]
    SameName {
        /// The earlier column.
        other: String,
    },
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
    /// There is no column to write.
    #[error("the frame has no column to write beside `at`; QuestDB rows need at least one symbol or field")]
    NothingToWrite,
}

/// How callers name the server's clock, in both languages.
const SERVER_CLOCK: &str = "Python: qf.ServerTimestamp, Rust: At::Server";

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default()
}

impl PlanError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NameEmpty { .. }
            | Self::NameCharacter { .. }
            | Self::NameTooLong { .. }
            | Self::NameDot { .. }
            | Self::NameSpace { .. } => ErrorKind::InvalidName,
            Self::AtConstant { .. } => ErrorKind::InvalidTimestamp,
            Self::AtType { .. } | Self::SymbolType { .. } | Self::Unsupported { .. } | Self::NothingToWrite => {
                ErrorKind::BadDataFrame
            }
            Self::NoTable
            | Self::UnknownColumn { .. }
            | Self::NoAtCandidate
            | Self::SeveralAtCandidates { .. }
            | Self::SymbolIsAt
            | Self::SameName { .. }
            | Self::ShadowsDesignated { .. } => ErrorKind::InvalidApiCall,
        }
    }
}

/// Whether QuestDB takes both for the same column.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

/// The wire type of values of this Arrow type, or the cast that would help.
fn wire(data_type: &DataType) -> Result<Option<Wire>, &'static str> {
    use DataType::{
        Binary, BinaryView, Boolean, Date32, Date64, Decimal32, Decimal64, Decimal128, Decimal256, Dictionary,
        Duration, FixedSizeBinary, FixedSizeList, Float16, Float32, Float64, Int8, Int16, Int32, Int64, Interval,
        LargeBinary, LargeList, LargeListView, LargeUtf8, List, ListView, Map, Null, RunEndEncoded, Struct, Time32,
        Time64, Timestamp, UInt8, UInt16, UInt32, UInt64, Union, Utf8, Utf8View,
    };
    Ok(Some(match data_type {
        Null => return Ok(None),
        Boolean => Wire::Boolean,
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => Wire::Integer,
        Float16 | Float32 | Float64 => Wire::Float,
        Utf8 | LargeUtf8 | Utf8View => Wire::String,
        Timestamp(TimeUnit::Nanosecond, _) => Wire::Timestamp(WireUnit::Nanos),
        Timestamp(..) | Date32 | Date64 => Wire::Timestamp(WireUnit::Micros),
        Dictionary(_, values) => match values.as_ref() {
            Dictionary(..) => return Err("dictionaries of dictionaries have no form in ILP; cast it to a string"),
            // A dictionary of nulls holds nothing.
            values => return wire(values),
        },
        List(_) | LargeList(_) | ListView(_) | LargeListView(_) | FixedSizeList(..) => {
            return Err("arrays are not written by this version; drop the column, or explode it into scalar columns");
        }
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => {
            return Err(
                "decimals are not written by this version; cast it to Float64, or to a string to keep every digit",
            );
        }
        Time32(_) | Time64(_) => return Err("cast it to Int64 (nanoseconds since midnight) or to a string"),
        Duration(_) => return Err("cast it to Int64 (say, nanoseconds)"),
        Interval(_) => return Err("cast it to Int64 or to a string"),
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => {
            return Err("ILP carries no binary values; encode it as hex or base64 text");
        }
        Struct(_) => return Err("unnest it into one column per field"),
        Map(..) | Union(..) => return Err("turn it into one column per key"),
        RunEndEncoded(..) => return Err("cast it to its value type"),
    }))
}

/// The role of a column that is not `at`.
pub(super) fn resolve(field: &Field, symbols: &Symbols) -> Result<Role, PlanError> {
    let data_type = field.data_type();
    let listed = matches!(symbols, Symbols::Columns(names) if names.contains(field.name()));
    let wire = wire(data_type).map_err(|advice| match field.extension_type_name() {
        // A Polars type that Arrow does not have; see `frontend::polars`.
        Some(name) if name.starts_with("polars.") => {
            let advice = "Arrow has no such type; cast it to Int64, Float64 or a string";
            PlanError::Unsupported { data_type: name.to_owned(), advice }
        }
        _ => PlanError::Unsupported { data_type: data_type.to_string(), advice },
    })?;
    match wire {
        None => Ok(Role::Skipped),
        Some(Wire::String) => {
            let symbol = match symbols {
                Symbols::Auto => matches!(data_type, DataType::Dictionary(..)),
                Symbols::All => true,
                Symbols::None => false,
                Symbols::Columns(_) => listed,
            };
            Ok(if symbol { Role::Symbol } else { Role::Field(Wire::String) })
        }
        Some(_) if listed => Err(PlanError::SymbolType { data_type: data_type.to_string() }),
        Some(wire) => Ok(Role::Field(wire)),
    }
}

/// The unit in which a column of this type serves as `at`.
fn at_unit(data_type: &DataType) -> Option<WireUnit> {
    match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => Some(WireUnit::Nanos),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Some(WireUnit::Micros),
        _ => None,
    }
}

/// Where the designated timestamp comes from, and why, when the caller left it open.
pub(super) fn resolve_at(
    schema: &Schema,
    options: &WriteOptions,
    context: &Context<'_>,
) -> Result<(AtPlan, Option<&'static str>), Problem> {
    let Some(at) = wanted_at(options, context) else {
        return infer_at(schema, context);
    };
    let plan = match at.as_ref() {
        At::Server => AtPlan::Server,
        At::Nanos(value) => AtPlan::Constant { text: constant(*value, WireUnit::Nanos, context.version)? },
        At::Micros(value) => AtPlan::Constant { text: constant(*value, WireUnit::Micros, context.version)? },
        At::Column(name) => {
            let Some((index, field)) = schema.fields().iter().enumerate().find(|(_, field)| field.name() == name)
            else {
                return Err(
                    unknown_column(schema, "at", name).unwrap_or_else(|| Problem::new(PlanError::NoAtCandidate))
                );
            };
            let Some(unit) = at_unit(field.data_type()) else {
                let data_type = field.data_type().to_string();
                return Err(Problem::new(PlanError::AtType { data_type }).column(name));
            };
            AtPlan::Column { index, unit }
        }
    };
    Ok((plan, None))
}

fn infer_at(schema: &Schema, context: &Context<'_>) -> Result<(AtPlan, Option<&'static str>), Problem> {
    let designated = context.target.existing().and_then(|table| table.designated.as_deref());
    if let Some(designated) = designated {
        let found = schema.fields().iter().enumerate().find(|(_, field)| same_name(field.name(), designated));
        if let Some((index, field)) = found
            && let Some(unit) = at_unit(field.data_type())
        {
            return Ok((AtPlan::Column { index, unit }, Some("the table's designated timestamp")));
        }
    }
    let candidates: Vec<_> = schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| matches!(field.data_type(), DataType::Timestamp(..)))
        .collect();
    match candidates.as_slice() {
        [] => Err(Problem::new(PlanError::NoAtCandidate)),
        [(index, field)] => match at_unit(field.data_type()) {
            Some(unit) => Ok((AtPlan::Column { index: *index, unit }, Some("the frame's only timestamp column"))),
            None => Err(Problem::new(PlanError::NoAtCandidate)),
        },
        several => {
            let names: Vec<_> = several.iter().map(|(_, field)| format!("{:?}", field.name())).collect();
            Err(Problem::new(PlanError::SeveralAtCandidates { candidates: names.join(", ") }))
        }
    }
}

/// The most nanoseconds and microseconds the server takes as a designated timestamp (`spec/ilp-wire.md` 7.1).
pub(crate) const MAX_AT_NANOS: i64 = 9_214_646_399_999_999_999;
pub(crate) const MAX_AT_MICROS: i64 = 253_402_300_799_999_999;

/// Digits and suffix of a constant instant.
fn constant(value: i64, unit: WireUnit, version: ProtocolVersion) -> Result<Vec<u8>, Problem> {
    let out_of_range = || Problem::new(PlanError::AtConstant { value });
    let max = match unit {
        WireUnit::Micros => MAX_AT_MICROS,
        WireUnit::Nanos => MAX_AT_NANOS,
    };
    if !(0..=max).contains(&value) {
        return Err(out_of_range());
    }
    if version == ProtocolVersion::V1 {
        let nanos = match unit {
            WireUnit::Nanos => value,
            WireUnit::Micros => value.checked_mul(1000).ok_or_else(out_of_range)?,
        };
        return Ok(nanos.to_string().into_bytes());
    }
    let mut text = value.to_string().into_bytes();
    text.push(unit.suffix());
    Ok(text)
}

/// The problem of an option that names no column, or `None` if the column is there.
pub(super) fn unknown_column(schema: &Schema, argument: &'static str, name: &str) -> Option<Problem> {
    const SHOWN: usize = 12;
    if schema.fields().iter().any(|field| field.name() == name) {
        return None;
    }
    let nearest = schema
        .fields()
        .iter()
        .map(|field| (strsim::jaro_winkler(&field.name().to_lowercase(), &name.to_lowercase()), field.name()))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.clone());
    let mut columns: Vec<_> = schema.fields().iter().take(SHOWN).map(|f| format!("{:?}", f.name())).collect();
    if schema.fields().len() > SHOWN {
        columns.push(format!("and {} more", schema.fields().len() - SHOWN));
    }
    let error = PlanError::UnknownColumn { argument, nearest, columns: columns.join(", ") };
    Some(Problem::new(error).column(name))
}

/// Columns whose names QuestDB takes for that of an earlier one.
pub(super) fn same_names(schema: &Schema) -> Vec<Problem> {
    let mut seen = std::collections::HashMap::new();
    let mut problems = Vec::new();
    for field in schema.fields() {
        if let Some(other) = seen.get(&field.name().to_lowercase()) {
            let error = PlanError::SameName { other: String::clone(other) };
            problems.push(Problem::new(error).column(field.name()));
        } else {
            seen.insert(field.name().to_lowercase(), field.name().clone());
        }
    }
    problems
}

/// Whether the server would take this column's values for the row's timestamp though `at` says otherwise.
pub(super) fn shadows_designated(name: &str, at: &AtPlan, context: &Context<'_>) -> Option<PlanError> {
    let designated = match &context.target {
        Target::Existing(table) => table.designated.as_deref()?,
        // Where we may not look, the name that the server would choose is the one to be careful with.
        Target::Missing | Target::Unreadable => AUTO_DESIGNATED,
        // `check(false)` and bytes that go nowhere: the caller knows the table, or there is none.
        Target::Unknown => return None,
    };
    // Without timestamps of our own there is nothing to override, and a field may well carry the row's time.
    let overridden = !matches!(at, AtPlan::Server);
    (overridden && same_name(name, designated))
        .then(|| PlanError::ShadowsDesignated { designated: designated.to_owned(), name: name.to_owned() })
}
