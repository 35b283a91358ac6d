//! The designated timestamp: which column it is, or which instant.
//!
//! Rules: `spec/dataframe.md` section 4; where `at` is left open: `design/architecture.md` section 4.

use arrow_schema::{DataType, Field, Schema};

use super::column_type::ColumnType;
use super::kind::{InstantUnit, Kind};
use super::role::{same_name, unknown_column};
use super::{AtPlan, Context, PlanError, Target, WireUnit};
use crate::error::Problem;
use crate::options::{At, Create, ProtocolVersion, WriteOptions};

/// Fields with this key in their metadata are a pandas index: never written, but they may be `at`.
const INDEX: &str = "questframe:index";

/// Schemas with this key in their metadata are of a frame with an index that could be no column: its names.
const NO_COLUMN: &str = "questframe:index_names";

/// What such a column may be called in any case.
const INDEX_NAME: &str = "index";

/// Whether this field is the frame's index.
pub(super) fn is_index(field: &Field) -> bool {
    field.metadata().contains_key(INDEX)
}

/// The note on a pandas index that is not written, and not `at` either.
pub(super) fn unwritten_index(schema: &Schema, at: Option<usize>) -> Option<String> {
    let column = schema.fields().iter().enumerate().find(|(index, field)| is_index(field) && Some(*index) != at);
    let names = match column {
        Some((_, field)) => format!("{:?}", field.name()),
        None => schema.metadata().get(NO_COLUMN)?.clone(),
    };
    Some(format!("the frame's index ({names}) is not written; pass frame.reset_index() to have it as columns"))
}

/// The unit in which a column of this type serves as `at`.
fn at_unit(field: &Field) -> Option<WireUnit> {
    match Kind::of(field, false) {
        Ok(Kind::Instant(InstantUnit::Nanosecond)) => Some(WireUnit::Nanos),
        Ok(Kind::Instant(_)) => Some(WireUnit::Micros),
        _ => None,
    }
}

/// Where the designated timestamp comes from, and why, when the caller left it open.
pub(super) fn resolve_at(
    schema: &Schema,
    options: &WriteOptions,
    context: &Context<'_>,
) -> Result<(AtPlan, Option<&'static str>), Problem> {
    let from_conf = context.default_at.map(At::column);
    let Some(at) = options.at.as_ref().or(from_conf.as_ref()) else {
        return infer_at(schema, context);
    };
    let plan = match at {
        At::Server => AtPlan::Server,
        At::Nanos(value) => AtPlan::Constant { text: constant(*value, WireUnit::Nanos, options, context)? },
        At::Micros(value) => AtPlan::Constant { text: constant(*value, WireUnit::Micros, options, context)? },
        At::Column(name) => {
            let named = || schema.fields().iter().enumerate().find(|(_, field)| field.name() == name);
            let index = || schema.fields().iter().enumerate().find(|(_, field)| name == INDEX_NAME && is_index(field));
            let Some((index, field)) = named().or_else(index) else {
                return Err(
                    unknown_column(schema, "at", name).unwrap_or_else(|| Problem::new(PlanError::NoAtCandidate))
                );
            };
            let Some(unit) = at_unit(field) else {
                let data_type = field.data_type().to_string();
                return Err(Problem::new(PlanError::AtType { data_type }).with_column(name));
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
            && let Some(unit) = at_unit(field)
        {
            return Ok((AtPlan::Column { index, unit }, Some("the table's designated timestamp")));
        }
    }
    let candidates: Vec<_> = schema
        .fields()
        .iter()
        .enumerate()
        // Dates are rarely a row's time, and never without being asked for.
        .filter(|(_, field)| matches!(field.data_type(), DataType::Timestamp(..)))
        .collect();
    match candidates.as_slice() {
        [] => Err(Problem::new(PlanError::NoAtCandidate)),
        [(index, field)] => match at_unit(field) {
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
fn constant(value: i64, unit: WireUnit, options: &WriteOptions, context: &Context<'_>) -> Result<Vec<u8>, Problem> {
    let out_of_range = || Problem::new(PlanError::AtConstant { value });
    let designated = context.target.existing().and_then(|table| table.column(table.designated.as_deref()?));
    let max = match unit {
        _ if context.is_official => i64::MAX,
        WireUnit::Micros if designated == Some(&ColumnType::TimestampNs) => MAX_AT_NANOS / 1000,
        WireUnit::Micros => MAX_AT_MICROS,
        WireUnit::Nanos => MAX_AT_NANOS,
    };
    if !(0..=max).contains(&value) {
        return Err(out_of_range());
    }
    let cure = match &context.target {
        Target::Existing(_) => {
            (designated == Some(&ColumnType::Timestamp)).then_some("make a table with a TIMESTAMP_NS")
        }
        // A specification may say otherwise.
        Target::Missing if matches!(options.create, Create::Table(_)) => None,
        Target::Missing => (context.version == ProtocolVersion::V1).then_some("use protocol version 2"),
        Target::Unknown | Target::Unreadable => None,
    };
    if let Some(cure) = cure
        && unit == WireUnit::Nanos
        && value % 1000 != 0
        && !context.is_official
    {
        return Err(Problem::new(PlanError::AtConstantLossy { value, cure }));
    }
    if context.version == ProtocolVersion::V1 {
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
