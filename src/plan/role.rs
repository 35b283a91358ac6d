//! What a column is for QuestDB, and what its name can do wrong beside those of others.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow_schema::Schema;

use super::at::is_index;
use super::{AtPlan, Context, PlanError, Target, WireUnit};
use crate::error::Problem;

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
    /// The unscaled value of this scale; protocol version 3.
    Decimal {
        /// Digits behind the point.
        scale: u8,
    },
    /// Values that are in their wire form already.
    Cells,
    /// Floats in so many dimensions; protocol version 2.
    Array {
        /// The dimensions.
        dims: u8,
    },
}

/// Whether QuestDB takes both for the same name.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a == b || folded(a) == folded(b)
}

/// A name in the server's lower case: character by character, as Java has it. `str::to_lowercase` looks at neighbours
/// (a capital sigma at a word's end) and makes two characters of `İ`.
pub(crate) fn folded(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(name);
    }
    name.chars().filter_map(|c| c.to_lowercase().next()).collect()
}

/// The name most like this one, if one is like it at all.
pub(super) fn nearest<'a>(names: impl Iterator<Item = &'a String>, name: &str) -> Option<String> {
    names
        .map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase()), known))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.clone())
}

/// The problem of an option that names no column, or `None` if the column is there.
pub(super) fn unknown_column(schema: &Schema, argument: &'static str, name: &str) -> Option<Problem> {
    const SHOWN: usize = 12;
    if schema.fields().iter().any(|field| field.name() == name) {
        return None;
    }
    let nearest = nearest(schema.fields().iter().map(|field| field.name()), name);
    let mut columns: Vec<_> = schema.fields().iter().take(SHOWN).map(|f| format!("{:?}", f.name())).collect();
    if schema.fields().len() > SHOWN {
        columns.push(format!("and {} more", schema.fields().len() - SHOWN));
    }
    let error = PlanError::UnknownColumn { argument, nearest, columns: columns.join(", ") };
    Some(Problem::new(error).with_column(name))
}

/// Columns whose names QuestDB takes for that of an earlier one.
pub(super) fn same_names(schema: &Schema, at: Option<usize>) -> Vec<Problem> {
    let mut seen: HashMap<_, &str> = HashMap::with_capacity(schema.fields().len());
    let mut problems = Vec::new();
    // An index is written as `at` only.
    let fields = schema.fields().iter().enumerate().filter(|(index, field)| Some(*index) == at || !is_index(field));
    for (_, field) in fields {
        match seen.entry(folded(field.name())) {
            Entry::Occupied(other) => {
                let error = match *other.get() {
                    other if other == field.name() => PlanError::NameTwice,
                    other => PlanError::SameName { other: other.to_owned() },
                };
                problems.push(Problem::new(error).with_column(field.name()));
            }
            Entry::Vacant(name) => {
                name.insert(field.name());
            }
        }
    }
    problems
}

/// Whether the server would take this column's values for the row's timestamp: against `at`, or though they are none.
pub(super) fn shadows_designated(
    name: &str,
    wire: Wire,
    at: &AtPlan,
    context: &Context<'_>,
    ours: bool,
) -> Option<PlanError> {
    let designated = match &context.target {
        Target::Existing(table) => table.designated.as_deref()?,
        // A table of our own making has the column of `at` itself, unless there is none.
        Target::Missing if ours && matches!(at, AtPlan::Column { .. }) => return None,
        // Where we may not look, the name that the server would choose is the one to be careful with.
        Target::Missing | Target::Unreadable => AUTO_DESIGNATED,
        // `check(false)` and bytes that go nowhere: the caller knows the table, or there is none.
        Target::Unknown => return None,
    };
    if !same_name(name, designated) {
        return None;
    }
    let (designated, name) = (designated.to_owned(), name.to_owned());
    match (at, wire) {
        // Without timestamps of our own there is nothing to override, and a field may well carry the row's time.
        (AtPlan::Server, Wire::Timestamp(_)) => None,
        (AtPlan::Server, _) => Some(PlanError::DesignatedType { designated }),
        _ => Some(PlanError::ShadowsDesignated { designated, name }),
    }
}
