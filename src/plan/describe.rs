//! The plan as a table for people: what each column becomes, and what its nulls become.

use std::fmt;

use comfy_table::{ContentArrangement, Table, presets};

use super::column_type::ColumnType;
use super::{AtPlan, ColumnPlan, Origin, Plan, Role, Wire, WireUnit, new_columns};
use crate::options::{EmptyRows, NullAt, NullBool, ProtocolVersion};

/// How one column of a frame lands, as [`Plan::columns`] and the report tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedColumn {
    /// The column's name.
    pub name: String,
    /// Its Arrow type.
    pub arrow_type: String,
    /// `symbol`, `field`, `designated timestamp` or `skipped`.
    pub role: &'static str,
    /// The form of its values on the wire, such as `float`; empty when skipped.
    pub wire: String,
    /// The QuestDB type it has on the server, or gets; empty when skipped.
    pub questdb_type: String,
    /// `exists` or `new`; empty when skipped, or when the server was not asked.
    pub state: &'static str,
    /// What a null becomes.
    pub nulls: String,
    /// A remark, such as that a string column looks like a symbol; empty when there is none.
    pub note: String,
}

impl Plan {
    /// How each column lands, in the frame's order.
    pub fn columns(&self) -> Vec<PlannedColumn> {
        self.columns.iter().filter(|column| column.is_listed).map(|column| self.describe(column)).collect()
    }

    pub(crate) fn describe(&self, column: &ColumnPlan) -> PlannedColumn {
        let role = match column.role {
            Role::Symbol => "symbol",
            Role::Field(_) => "field",
            Role::Timestamp => "designated timestamp",
            Role::Skipped => "skipped",
        };
        PlannedColumn {
            name: column.name.text().to_owned(),
            arrow_type: column.field.data_type().to_string(),
            role,
            wire: self.wire(column),
            questdb_type: self.questdb_type(column),
            state: self.state(column),
            nulls: self.nulls(column),
            note: self.note(column),
        }
    }

    fn questdb_type(&self, column: &ColumnPlan) -> String {
        let designated = || {
            let known = self.designated.as_ref().map(|(_, column_type)| column_type.to_string());
            known.unwrap_or_else(|| match self.at {
                // Version 1 has no suffix that would ask for nanoseconds.
                AtPlan::Column { unit: WireUnit::Nanos, .. } if self.version > ProtocolVersion::V1 => {
                    ColumnType::TimestampNs.to_string()
                }
                _ => ColumnType::Timestamp.to_string(),
            })
        };
        match (&column.column_type, column.role) {
            (_, Role::Timestamp) => designated(),
            (Some(column_type), _) => column_type.to_string(),
            (None, _) => String::new(),
        }
    }

    /// The form of the values in a line.
    fn wire(&self, column: &ColumnPlan) -> String {
        let text = match column.role {
            Role::Symbol => "symbol",
            Role::Field(Wire::Boolean) => "boolean",
            Role::Field(Wire::Integer) => "integer",
            Role::Field(Wire::Float) => "float",
            Role::Field(Wire::String) => "string",
            Role::Field(Wire::Timestamp(WireUnit::Nanos)) if self.version > ProtocolVersion::V1 => "timestamp ns",
            Role::Field(Wire::Timestamp(_)) => "timestamp us",
            Role::Field(Wire::Decimal { .. }) => "decimal",
            Role::Field(Wire::Cells) => "wire form",
            Role::Field(Wire::Array { .. }) => "array",
            Role::Timestamp => match self.at {
                AtPlan::Column { unit: WireUnit::Nanos, .. } => "timestamp ns",
                _ if self.version == ProtocolVersion::V1 => "timestamp ns",
                _ => "timestamp us",
            },
            Role::Skipped => "",
        };
        text.to_owned()
    }

    /// Where the column of the table comes from.
    fn state(&self, column: &ColumnPlan) -> &'static str {
        let origin = if column.role == Role::Timestamp { self.origin } else { column.origin };
        match (column.role, origin) {
            (_, Origin::Unknown) => "",
            (_, Origin::Existing) => "exists",
            (_, Origin::Statement | Origin::Server) => "new",
        }
    }

    fn nulls(&self, column: &ColumnPlan) -> String {
        let text = match column.role {
            Role::Timestamp => match self.null_at {
                NullAt::Error => "error, naming the row",
                NullAt::Server => "server's clock",
            },
            Role::Field(Wire::Boolean) => match self.null_bool {
                NullBool::Error | NullBool::Omit
                    if column.origin != Origin::Unknown
                        && column.column_type.as_ref().is_some_and(ColumnType::is_number_with_null) =>
                {
                    "omitted, reads NULL"
                }
                NullBool::Error => "error, naming the row",
                NullBool::False => "false",
                NullBool::Omit => "omitted, reads false",
            },
            Role::Symbol | Role::Field(_) => match &column.column_type {
                Some(column_type) if column_type.has_no_null() => "error, naming the row",
                _ => "omitted, reads NULL",
            },
            Role::Skipped => "holds nothing else",
        };
        text.to_owned()
    }

    fn note(&self, column: &ColumnPlan) -> String {
        if let Some(note) = &column.note {
            return note.clone();
        }
        if column.role != Role::Timestamp {
            return String::new();
        }
        let mut note = self.at_reason.unwrap_or_default().to_owned();
        if let Some((designated, _)) = &self.designated
            && !super::role::same_name(column.name.text(), designated)
        {
            let sep = if note.is_empty() { "" } else { "; " };
            note.push_str(&format!("{sep}goes to the designated timestamp {designated:?}"));
        }
        note
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(["column", "Arrow type", "role", "sent as", "QuestDB type", "", "null", "note"]);
        for column in self.columns() {
            table.add_row([
                column.name.as_str(),
                &column.arrow_type,
                column.role,
                &column.wire,
                &column.questdb_type,
                column.state,
                &column.nulls,
                &column.note,
            ]);
        }
        let state = match (self.origin, &self.designated) {
            (Origin::Statement, _) => "new, created first".to_owned(),
            (Origin::Server, _) => "new, the server creates it".to_owned(),
            (_, Some((designated, _))) => format!("exists, designated timestamp {designated:?}"),
            _ => "not looked up".to_owned(),
        };
        writeln!(f, "table {:?} ({state}), protocol {}", self.table.text(), self.version)?;
        write!(f, "{table}")?;
        match &self.at {
            AtPlan::Column { .. } => {}
            AtPlan::Constant { text } => {
                write!(f, "\nat: {} on every row", String::from_utf8_lossy(text))?;
            }
            AtPlan::Server => write!(f, "\nat: the server's clock; such rows cannot be deduplicated")?,
        }
        if self.empty_rows == EmptyRows::Skip {
            write!(f, "\nrows in which everything is null are left out")?;
        }
        for note in self.notes.iter().chain(&new_columns(self.added.iter())) {
            write!(f, "\nnote: {note}")?;
        }
        for statement in &self.statements {
            write!(f, "\nruns first: {statement}")?;
        }
        Ok(())
    }
}
