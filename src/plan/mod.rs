//! The plan: how every column of a frame lands in QuestDB, decided from the schema and the options alone.
//!
//! Touches no data. Every error a schema, a name or an option can cause arises here, all of them together and
//! before a byte is sent; behind the plan nothing is decided per cell.

mod describe;
mod hint;
pub(crate) mod name;
mod role;

use arrow_schema::Schema;

pub use describe::PlannedColumn;
pub use role::PlanError;
pub(crate) use role::{MAX_AT_MICROS, MAX_AT_NANOS, Role, Wire};

use crate::error::{Error, Problem};
use crate::options::{At, EmptyRows, Nan, NullAt, NullBool, ProtocolVersion, Symbols, WriteOptions};
use name::Name;

/// What is known of the table a frame goes into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TargetTable {
    /// The designated timestamp's name.
    pub(crate) designated: Option<String>,
    /// Every column with its QuestDB type.
    pub(crate) columns: Vec<(String, String)>,
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
    pub(crate) target: Target,
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
    pub(crate) data_type: arrow_schema::DataType,
    pub(crate) role: Role,
    /// Whether rows of it may hold nothing to send.
    pub(crate) nullable: bool,
    /// The type of an existing column of the target table.
    pub(crate) server_type: Option<String>,
    /// A remark for the reader of the plan.
    pub(crate) note: Option<String>,
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
    pub(crate) creates_table: bool,
    pub(crate) designated: Option<String>,
    pub(crate) null_at: NullAt,
    pub(crate) null_bool: NullBool,
    pub(crate) empty_rows: EmptyRows,
    pub(crate) nan: Nan,
}

impl Plan {
    /// Plans a frame of this schema.
    ///
    /// # Errors
    /// Everything the schema and the options can do wrong, together in one error.
    pub(crate) fn try_new(schema: &Schema, options: &WriteOptions, context: &Context<'_>) -> Result<Self, Error> {
        let mut problems = Vec::new();

        let table = match context.table {
            None => Err(PlanError::NoTable),
            Some(name) => Name::table(name, context.max_name_len),
        };
        let table = table.map_err(|error| problems.push(Problem::new(error))).ok();

        let at = role::resolve_at(schema, options, context);
        let (at, at_reason) = match at {
            Ok(found) => found,
            Err(problem) => {
                problems.push(problem);
                (AtPlan::Server, None)
            }
        };
        let at_index = match at {
            AtPlan::Column { index, .. } => Some(index),
            _ => None,
        };
        if let Symbols::Columns(names) = &options.symbols {
            problems.extend(names.iter().filter_map(|name| role::unknown_column(schema, "symbols", name)));
            if let Some(index) = at_index
                && names.contains(schema.field(index).name())
            {
                problems.push(Problem::new(PlanError::SymbolIsAt).column(schema.field(index).name()));
            }
        }
        problems.extend(role::same_names(schema));

        let mut columns = Vec::with_capacity(schema.fields().len());
        for (index, field) in schema.fields().iter().enumerate() {
            let role =
                if Some(index) == at_index { Ok(Role::Timestamp) } else { role::resolve(field, &options.symbols) };
            let role = role.unwrap_or_else(|error| {
                problems.push(Problem::new(error).column(field.name()));
                Role::Skipped
            });
            // The names of columns that are not written do not matter.
            let name = if matches!(role, Role::Symbol | Role::Field(_)) {
                Name::column(field.name(), context.max_name_len)
            } else {
                Ok(Name::unchecked(field.name()))
            };
            let name = name.unwrap_or_else(|error| {
                problems.push(Problem::new(error).column(field.name()));
                Name::unchecked(field.name())
            });
            if matches!(role, Role::Symbol | Role::Field(_))
                && let Some(error) = role::shadows_designated(field.name(), &at, context)
            {
                problems.push(Problem::new(error).column(field.name()));
            }
            let server_type = context.target.existing().and_then(|table| {
                let found = table.columns.iter().find(|(name, _)| role::same_name(name, field.name()));
                found.map(|(_, server_type)| server_type.clone())
            });
            columns.push(ColumnPlan {
                index,
                name,
                data_type: field.data_type().clone(),
                role,
                nullable: field.is_nullable()
                    // A dictionary's keys may all be there and a value they point to null.
                    || matches!(field.data_type(), arrow_schema::DataType::Dictionary(..))
                    || (role == Role::Field(Wire::Float) && options.nan == Nan::Omit),
                server_type,
                note: None,
            });
        }
        if problems.is_empty() && !columns.iter().any(|column| matches!(column.role, Role::Symbol | Role::Field(_))) {
            problems.push(Problem::new(PlanError::NothingToWrite));
        }

        match table {
            Some(table) if problems.is_empty() => Ok(Self {
                table,
                version: context.version,
                at,
                at_reason,
                columns,
                creates_table: matches!(context.target, Target::Missing),
                designated: context.target.existing().and_then(|table| table.designated.clone()),
                null_at: options.null_at,
                null_bool: options.null_bool,
                empty_rows: options.empty_rows,
                nan: options.nan,
            }),
            table => {
                let error = Error::from_problems(problems, 0);
                Err(match &table {
                    Some(table) => error.with_table(table.text()),
                    None => error,
                })
            }
        }
    }

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

/// The `at` of the options, else that of the configuration string.
fn wanted_at<'a>(options: &'a WriteOptions, context: &Context<'a>) -> Option<std::borrow::Cow<'a, At>> {
    use std::borrow::Cow;
    match (&options.at, context.default_at) {
        (Some(at), _) => Some(Cow::Borrowed(at)),
        (None, Some(name)) => Some(Cow::Owned(At::column(name))),
        (None, None) => None,
    }
}
