//! The plan: how every column of a frame lands in QuestDB, decided from the schema and the options alone.
//!
//! Touches no data. Every error a schema, a name or an option can cause arises here, all of them together and
//! before a byte is sent; behind the plan nothing is decided per cell.

mod at;
mod build;
pub(crate) mod column_type;
mod ddl;
mod describe;
mod error;
mod hint;
pub(crate) mod kind;
pub(crate) mod landing;
pub(crate) mod name;
mod role;
mod spec;

pub(crate) use at::{MAX_AT_MICROS, MAX_AT_NANOS};
pub use describe::PlannedColumn;
pub use error::PlanError;
pub(crate) use role::{Role, Wire, folded, same_name};

use std::borrow::Cow;

use arrow_schema::{Field, Schema};

use crate::options::{EmptyRows, Nan, NullAt, NullBool, ProtocolVersion, WriteOptions};
use build::NOTHING;
use column_type::ColumnType;
use kind::Kind;
use landing::{Cast, Limit};
use name::Name;

/// What is known of the table a frame goes into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TargetTable {
    /// The designated timestamp's name.
    pub(crate) designated: Option<String>,
    /// Every column with its type.
    pub(crate) columns: Vec<(String, ColumnType)>,
    /// Whether rows with the same keys replace each other.
    pub(crate) dedup: bool,
    /// Those keys, the designated timestamp among them; none where they are not known.
    pub(crate) keys: Vec<String>,
    /// The unit of its partitions, where that is known.
    pub(crate) partition_by: Option<String>,
    /// How long its partitions are kept, as number and unit, where that is known; 0 is for ever.
    pub(crate) ttl: Option<(i64, String)>,
    /// Why ILP cannot write into it.
    pub(crate) obstacle: Option<Obstacle>,
}

impl TargetTable {
    /// The column of this name, in any case.
    pub(crate) fn column(&self, name: &str) -> Option<&ColumnType> {
        self.columns.iter().find(|(known, _)| same_name(known, name)).map(|(_, column_type)| column_type)
    }
}

/// Why ILP cannot write into a table that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// Partitioned, without a write-ahead log.
    NoWal,
    /// Without partitions, and so without a write-ahead log.
    NoPartitions,
    NoDesignatedTimestamp,
    View,
    MaterializedView,
}

/// What the plan knows of the place the rows go to.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Nothing was asked, or there is no server.
    Unknown,
    /// The server said that there is no such table: it will be created.
    Missing,
    /// The server did not let us look: the table may be there or not.
    Unreadable,
    /// The table is there.
    Existing(TargetTable),
}

impl Target {
    fn existing(&self) -> Option<&TargetTable> {
        match self {
            Self::Existing(table) => Some(table),
            _ => None,
        }
    }
}

/// What the plan needs beside schema and options.
#[derive(Clone, Debug)]
pub(crate) struct Context<'a> {
    /// The table, from the options or the configuration string.
    pub(crate) table: Option<&'a str>,
    /// The designated timestamp named by the configuration string; options come first.
    pub(crate) default_at: Option<&'a str>,
    pub(crate) version: ProtocolVersion,
    pub(crate) max_name_len: usize,
    /// Whether the server has `TIMESTAMP_NS`.
    pub(crate) nanos: bool,
    pub(crate) target: Target,
    /// Whether the drop-in asks, which sends what the official client sends: names that the server will refuse, two
    /// columns of one name.
    pub(crate) is_official: bool,
    /// Whether metadata may say that binary values are in wire form.
    pub(crate) takes_cells: bool,
    /// Whether the lines go to the caller and not to a server.
    pub(crate) is_offline: bool,
    /// Whether nanoseconds in fields are cut to the microseconds of protocol version 1, as the official client does, and
    /// not refused: where nobody wants to know of the table.
    pub(crate) cuts_nanos: bool,
}

/// Unit of a timestamp on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireUnit {
    Micros,
    Nanos,
}

impl WireUnit {
    /// The suffix of the unit in protocol versions 2 and 3.
    pub(crate) fn suffix(self) -> u8 {
        match self {
            Self::Micros => b't',
            Self::Nanos => b'n',
        }
    }

    /// How many of the unit make a second.
    pub(crate) fn per_second(self) -> i64 {
        match self {
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
        }
    }
}

/// Where the designated timestamp of a row comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AtPlan {
    /// The column of this index; its values arrive at the server in this unit.
    Column { index: usize, unit: WireUnit },
    /// One instant: its digits and suffix.
    Constant { text: Vec<u8> },
    /// The server's clock.
    Server,
}

/// How one column lands.
#[derive(Clone, Debug)]
pub(crate) struct ColumnPlan {
    pub(crate) index: usize,
    pub(crate) name: Name,
    /// As the frame has it.
    pub(crate) field: arrow_schema::FieldRef,
    pub(crate) kind: Kind,
    pub(crate) role: Role,
    pub(crate) cast: Cast,
    pub(crate) limits: Vec<Limit>,
    /// Whether rows of it may hold nothing to send.
    pub(crate) nullable: bool,
    /// Its type in QuestDB; none if it is skipped.
    pub(crate) column_type: Option<ColumnType>,
    pub(crate) origin: Origin,
    /// A remark for the reader of the plan.
    pub(crate) note: Option<String>,
    /// Whether the reader of the plan hears of it: of a pandas index only if it is `at`.
    pub(crate) is_listed: bool,
}

impl ColumnPlan {
    /// Whether it is written as a symbol or a field.
    pub(crate) fn is_written(&self) -> bool {
        matches!(self.role, Role::Symbol | Role::Field(_))
    }

    /// Whether it reaches the encoder as codes and the values they stand for.
    pub(crate) fn is_dictionary(&self) -> bool {
        self.kind == Kind::Text { dictionary: true } && self.cast == Cast::Keep
    }
}

/// Where a column of the table comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is there.
    Existing,
    /// A statement of the plan makes it.
    Statement,
    /// The server makes it when the first row with it arrives.
    Server,
    /// Nobody knows.
    Unknown,
}

/// How a frame lands in its table: the role, wire type and escaped key of every column.
///
/// Printed as a table by its `Display`; made by [`Client::plan`](crate::Client::plan) and [`plan`](crate::plan()).
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) table: Name,
    pub(crate) version: ProtocolVersion,
    pub(crate) at: AtPlan,
    /// Why this designated timestamp, when the caller did not say.
    pub(crate) at_reason: Option<&'static str>,
    /// All columns, in the frame's order.
    pub(crate) columns: Vec<ColumnPlan>,
    /// Where the table comes from.
    pub(crate) origin: Origin,
    pub(crate) is_unreadable: bool,
    /// Whether the table drops the second copy of a row.
    pub(crate) dedup: bool,
    /// SQL to run before the first row is sent.
    pub(crate) statements: Vec<String>,
    /// What the caller chose and the table that is there does not have.
    pub(crate) notes: Vec<String>,
    /// Columns that a table which is there gets.
    pub(crate) added: Vec<NewColumn>,
    /// The name and the type of the designated timestamp, where they are known.
    pub(crate) designated: Option<(String, ColumnType)>,
    pub(crate) null_at: NullAt,
    pub(crate) null_bool: NullBool,
    pub(crate) empty_rows: EmptyRows,
    pub(crate) nan: Nan,
    /// Whether what only the server refuses goes out: see [`Context::is_official`].
    pub(crate) is_official: bool,
}

/// A column that a table which is there gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewColumn {
    /// Of the frame's column.
    pub(crate) index: usize,
    /// Whether a statement makes it, and not its first value.
    pub(crate) is_stated: bool,
    /// How it is told.
    pub(crate) told: String,
}

/// The note on the columns that a table gets.
pub(crate) fn new_columns<'a>(added: impl Iterator<Item = &'a NewColumn>) -> Option<String> {
    const SHOWN: usize = 12;
    let told: Vec<_> = added.map(|column| column.told.as_str()).collect();
    let shown = told.get(..SHOWN).unwrap_or(&told).join(", ");
    match told.len() {
        0 => None,
        count if count > SHOWN => Some(format!("new columns of the table: {shown}, and {} more", count - SHOWN)),
        _ => Some(format!("new columns of the table: {shown}")),
    }
}

impl Plan {
    /// The table's name.
    pub fn table(&self) -> &str {
        self.table.text()
    }

    /// The protocol version the plan is for.
    pub fn protocol_version(&self) -> ProtocolVersion {
        self.version
    }

    /// The name of the column that holds the designated timestamp, if a column does.
    pub fn at(&self) -> Option<&str> {
        match self.at {
            AtPlan::Column { index, .. } => self.columns.get(index).map(|column| column.name.text()),
            _ => None,
        }
    }

    /// Whether it was made for this schema, and not for one with other types.
    pub(crate) fn is_for(&self, schema: &Schema) -> bool {
        let mut pairs = self.columns.iter().zip(schema.fields());
        let nothing = |field: &Field| field.metadata().get(NOTHING).cloned();
        pairs.all(|(column, field)| {
            column.field.data_type() == field.data_type() && nothing(&column.field) == nothing(field)
        })
    }

    /// The options for a plan of the same rows under another schema: with the designated timestamp that this one has found.
    pub(crate) fn with_its_at<'a>(&self, options: Cow<'a, WriteOptions>) -> Cow<'a, WriteOptions> {
        match self.at() {
            Some(at) if options.at.is_none() => Cow::Owned(options.into_owned().at(at)),
            _ => options,
        }
    }

    /// Whether a statement of the plan creates the table.
    pub(crate) fn creates_table(&self) -> bool {
        self.origin == Origin::Statement
    }

    /// Whether the server makes the table when the first row arrives, or may do so.
    pub(crate) fn may_be_made_by_server(&self) -> bool {
        matches!(self.origin, Origin::Server | Origin::Unknown)
    }

    /// Whether rows may be sent twice and are there once: the table has keys, and none of them is the server's clock.
    pub(crate) fn is_repeatable(&self) -> bool {
        let is_callers = match self.at {
            AtPlan::Column { .. } => self.null_at == NullAt::Error,
            AtPlan::Constant { .. } => true,
            AtPlan::Server => false,
        };
        self.dedup && is_callers
    }

    /// The unit of a column whose values are the rows' times: that of `at`, or where that is the server's clock a field that is
    /// named as the table's designated timestamp, which the server takes instead.
    pub(crate) fn unit_of_time(&self, column: &ColumnPlan) -> Option<WireUnit> {
        match (&self.at, column.role, &self.designated) {
            (AtPlan::Column { unit, .. }, Role::Timestamp, _) => Some(*unit),
            (AtPlan::Server, Role::Field(Wire::Timestamp(unit)), Some((designated, _))) => {
                same_name(designated, column.name.text()).then_some(unit)
            }
            _ => None,
        }
    }

    /// Whether the server did not let the table be looked up.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.is_unreadable
    }

    /// The SQL that a write runs before its first row: it creates the table, or adds columns that ILP would not, or not
    /// with their types. Empty where nothing is to be made, or the server makes it.
    pub fn statements(&self) -> &[String] {
        &self.statements
    }

    /// The symbol columns, in the frame's order.
    pub(crate) fn symbols(&self) -> impl Iterator<Item = &ColumnPlan> {
        self.columns.iter().filter(|column| column.role == Role::Symbol)
    }

    /// The field columns with their wire types, in the frame's order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&ColumnPlan, Wire)> {
        self.columns.iter().filter_map(|column| match column.role {
            Role::Field(wire) => Some((column, wire)),
            _ => None,
        })
    }
}
