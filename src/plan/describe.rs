//! The plan as a table for people: what each column becomes, and what its nulls become.

use std::fmt;

use comfy_table::{ContentArrangement, Table, presets};

use super::role::AUTO_DESIGNATED;
use super::{AtPlan, ColumnPlan, Plan, Role, Wire, WireUnit};
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
    /// The QuestDB type it has on the server, or gets when the server creates it; empty when skipped.
    pub questdb_type: String,
    /// What a null becomes.
    pub nulls: String,
    /// A remark, such as that a string column looks like a symbol; empty when there is none.
    pub note: String,
}

impl Plan {
    /// How each column lands, in the frame's order.
    pub fn columns(&self) -> Vec<PlannedColumn> {
        self.columns.iter().map(|column| self.describe(column)).collect()
    }

    fn describe(&self, column: &ColumnPlan) -> PlannedColumn {
        let role = match column.role {
            Role::Symbol => "symbol",
            Role::Field(_) => "field",
            Role::Timestamp => "designated timestamp",
            Role::Skipped => "skipped",
        };
        PlannedColumn {
            name: column.name.text().to_owned(),
            arrow_type: column.data_type.to_string(),
            role,
            questdb_type: self.questdb_type(column),
            nulls: self.nulls(column),
            note: self.note(column),
        }
    }

    fn questdb_type(&self, column: &ColumnPlan) -> String {
        if let Some(server_type) = &column.server_type {
            return server_type.clone();
        }
        let timestamp = |unit| match unit {
            // Version 1 has no suffix that would ask for nanoseconds.
            WireUnit::Nanos if self.version > ProtocolVersion::V1 => "TIMESTAMP_NS",
            _ => "TIMESTAMP",
        };
        let name = match column.role {
            Role::Symbol => "SYMBOL",
            Role::Field(Wire::Boolean) => "BOOLEAN",
            Role::Field(Wire::Integer) => "LONG",
            Role::Field(Wire::Float) => "DOUBLE",
            Role::Field(Wire::String) => "VARCHAR",
            Role::Field(Wire::Timestamp(unit)) => timestamp(unit),
            Role::Timestamp => match self.at {
                AtPlan::Column { unit, .. } => timestamp(unit),
                _ => "TIMESTAMP",
            },
            Role::Skipped => "",
        };
        name.to_owned()
    }

    fn nulls(&self, column: &ColumnPlan) -> String {
        let text = match column.role {
            Role::Timestamp => match self.null_at {
                NullAt::Error => "error, naming the row",
                NullAt::Server => "server's clock",
            },
            Role::Field(Wire::Boolean) => match self.null_bool {
                NullBool::Error => "error, naming the row",
                NullBool::False => "false",
                NullBool::Omit => "omitted, reads false",
            },
            Role::Symbol | Role::Field(_) => "omitted, reads NULL",
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
        if self.creates_table && !super::role::same_name(column.name.text(), AUTO_DESIGNATED) {
            let sep = if note.is_empty() { "" } else { "; " };
            note.push_str(&format!("{sep}becomes {AUTO_DESIGNATED:?} in the new table"));
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
            .set_header(["column", "Arrow type", "role", "QuestDB type", "null", "note"]);
        for column in self.columns() {
            table.add_row([
                column.name.as_str(),
                &column.arrow_type,
                column.role,
                &column.questdb_type,
                &column.nulls,
                &column.note,
            ]);
        }
        let state = match (self.creates_table, &self.designated) {
            (true, _) => "new, the server creates it".to_owned(),
            (false, Some(designated)) => format!("exists, designated timestamp {designated:?}"),
            (false, None) => "not looked up".to_owned(),
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
        match self.empty_rows {
            EmptyRows::Error => Ok(()),
            EmptyRows::Skip => write!(f, "\nrows in which everything is null are left out"),
        }
    }
}
