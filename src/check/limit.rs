//! Limits on the values of a cast column, most of them decided by the least and the greatest value.

use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;

use super::ValueError;
use super::lists::is_exact;
use super::misfits::{Misfits, misfit, valid};
use super::number::Number;
use super::text_form::fault;
use crate::column::{Column, Floats, Instants, Integers, Text, Values};
use crate::fmt::instant;
use crate::plan::ColumnPlan;
use crate::plan::column_type::ColumnType;
use crate::plan::landing::Limit;

/// The most that becomes a 32-bit float: what is less than half a step above the largest is that one.
const MAX_SINGLE: f64 = 340_282_356_779_733_623_858_607_532_500_980_858_880.0;

/// Notes the rows of a cast column that are beyond a limit.
pub(super) fn check(column: &ColumnPlan, limit: Limit, array: &ArrayRef, misfits: &mut Misfits) {
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let target = column.column_type.as_ref();
    let type_name = || target.map(ToString::to_string).unwrap_or_default();
    match limit {
        Limit::NotNull => {
            // A dictionary's rows may also be null because the value they point to is.
            let Some(nulls) = array.logical_nulls().filter(|nulls| nulls.null_count() > 0) else { return };
            for row in (0..nulls.len()).filter(|row| nulls.is_null(*row)) {
                misfits.add(row, || (String::new(), null_error(target)));
            }
        }
        Limit::Integer { min, max } => {
            let Some(integers) = Integers::bind(array) else { return };
            let bad = |value: i128| value < i128::from(min) || value > i128::from(max);
            if !integers.extremes().is_some_and(|(min, max)| bad(min) || bad(max)) {
                return;
            }
            for row in rows(array.len(), nulls).filter(|row| bad(integers.get(*row))) {
                misfits.add(row, || {
                    let value = integers.get(row);
                    (value.to_string(), integer_error(value, &type_name(), target))
                });
            }
        }
        Limit::ExactFloat { bits } => {
            let Some(integers) = Integers::bind(array) else { return };
            let small = 1_i128 << bits;
            if integers.extremes().is_none_or(|(min, max)| min >= -small && max <= small) {
                return;
            }
            for row in rows(array.len(), nulls).filter(|row| !is_exact(integers.get(*row), bits)) {
                misfits.add(row, || {
                    let why =
                        format!("the table's column is {}, which does not hold all digits of the integer", type_name());
                    (
                        integers.get(row).to_string(),
                        misfit(why, "make the table's column LONG, or cast the frame's to Float64 to round it"),
                    )
                });
            }
        }
        Limit::Single => {
            let Some(floats) = Floats::bind(array) else { return };
            let beyond = |row: usize| floats.get(row).is_finite() && floats.get(row).abs() > MAX_SINGLE;
            for row in rows(array.len(), nulls).filter(|row| beyond(*row)) {
                misfits.add(row, || {
                    let why = "the table's column is FLOAT, which holds 3.4e38 at most, and QuestDB would store NULL";
                    (floats.get(row).to_string(), misfit(why, "make the table's column DOUBLE, or use null"))
                });
            }
        }
        Limit::Instant { per_second, unit } => {
            let Some(instants) = Instants::bind(array) else { return };
            within_unit(&instants, nulls, array.len(), per_second, unit, || lossy(unit), misfits);
        }
        Limit::WireMicros => {
            let Some(instants) = Instants::bind(array) else { return };
            within_unit(&instants, nulls, array.len(), 1_000_000, "microseconds", too_fine_for_v1, misfits);
        }
        Limit::Decimal { precision, scale } => {
            for row in valid(array) {
                let Some(number) = Number::of(array, row).filter(|number| !number.is_nan()) else { continue };
                if !number.digits().is_some_and(|digits| digits.fits(precision, scale)) {
                    misfits.add(row, || {
                        let why =
                            format!("the table's column is {}, which does not hold the number exactly", type_name());
                        (number.to_string(), misfit(why, "round the frame's column, or widen the table's"))
                    });
                }
            }
        }
        Limit::Text(form) => {
            let Some(column) = Column::bind(array) else { return };
            let mut check = |row: usize, text: &[u8]| {
                if let Some((why, cure)) = fault(text, form) {
                    misfits.add(row, || (format!("{:?}", shortened(text)), misfit(why, cure)));
                }
            };
            match &column.values {
                Values::Text(text) => rows(array.len(), nulls).for_each(|row| check(row, text.get(row))),
                Values::Dictionary(keys) => {
                    let Some(text) = Text::bind(keys.values) else { return };
                    valid(array).for_each(|row| check(row, text.get(keys.codes.get(row) as usize)));
                }
                _ => {}
            }
        }
    }
}

/// The rows that are not null.
fn rows(count: usize, nulls: Option<&NullBuffer>) -> impl Iterator<Item = usize> + '_ {
    (0..count).filter(move |row| nulls.is_none_or(|nulls| nulls.is_valid(*row)))
}

/// The start of a text, as people read it.
fn shortened(text: &[u8]) -> String {
    const SHOWN: usize = 60;
    let text = String::from_utf8_lossy(text);
    if text.chars().count() > SHOWN {
        text.chars().take(SHOWN).chain("...".chars()).collect()
    } else {
        text.into_owned()
    }
}

fn null_error(target: Option<&ColumnType>) -> ValueError {
    match target {
        Some(target @ (ColumnType::Byte | ColumnType::Short)) => misfit(
            format!("the value is null and the table's column {target}, which has no NULL and would store 0"),
            "fill it, or make the table's column INT",
        ),
        _ => ValueError::NullBoolean { rows: 0 },
    }
}

fn integer_error(value: i128, type_name: &str, target: Option<&ColumnType>) -> ValueError {
    if value > i128::from(i64::MAX) {
        return ValueError::IntegerTooLarge { rows: 0 };
    }
    let is_null = match target {
        Some(ColumnType::Int) => value == i128::from(i32::MIN),
        Some(ColumnType::Byte | ColumnType::Short) => false,
        _ => value == i128::from(i64::MIN),
    };
    if is_null {
        let why = format!("the value is what QuestDB stores for NULL in a column of type {type_name}");
        let cure = match target {
            Some(ColumnType::Int) => "replace it by null if that is meant, or make the table's column LONG",
            _ => "replace it by null if that is meant, or cast the column to Float64 or to a string",
        };
        return misfit(why, cure);
    }
    misfit(
        format!("the value does not fit the table's column of type {type_name}"),
        "correct it, or widen the table's column",
    )
}

fn within_unit(
    instants: &Instants<'_>,
    nulls: Option<&NullBuffer>,
    count: usize,
    per_second: i64,
    unit: &'static str,
    too_fine: impl Fn() -> ValueError,
    misfits: &mut Misfits,
) {
    let factor = instants.factor(per_second);
    let Some((min, max)) = instants.extremes() else { return };
    let overflows =
        |value: i64| factor.is_ok_and(|factor| value.checked_mul(factor).is_none_or(|value| value == i64::MIN));
    let is_lossy = |value: i64| factor.is_err_and(|divisor| value % divisor != 0);
    let some_is_lossy = match factor {
        Ok(_) => false,
        Err(_) => rows(count, None).any(|row| is_lossy(instants.raw(row))),
    };
    if !some_is_lossy && !overflows(min) && !overflows(max) && min != i64::MIN {
        return;
    }
    for row in rows(count, nulls) {
        let value = instants.raw(row);
        let text = || instant::text(value, instants.per_second());
        if overflows(value) || value == i64::MIN {
            misfits.add(row, || (text(), ValueError::TimestampTooLarge { unit, rows: 0 }));
        } else if is_lossy(value) {
            misfits.add(row, || (text(), too_fine()));
        }
    }
}

/// A timestamp finer than what version 1 of the protocol writes in a field.
fn too_fine_for_v1() -> ValueError {
    misfit(
        "the timestamp has digits beyond the microseconds that protocol version 1 carries",
        "use protocol version 2 or later, or cast the frame's column to microseconds (\"us\") to drop them",
    )
}

/// A timestamp finer than the column it goes to.
pub(super) fn lossy(unit: &'static str) -> ValueError {
    let short = match unit {
        "milliseconds" => "ms",
        _ => "us",
    };
    misfit(
        format!("the timestamp has digits beyond the {unit} that the table's column stores"),
        format!("cast the frame's column to {unit} (\"{short}\") to drop them"),
    )
}
