//! Columns of `decimal.Decimal`: exactly, with one scale for all rows.
//!
//! The scale is the largest number of fractional digits that any value has, the precision the least that holds all
//! values at that scale. NaN and infinities have no form in Arrow or QuestDB and are missing.

use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, Decimal256Array};
use arrow_buffer::i256;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::objects::repr;
use crate::error::{bad_column, bad_value};

/// Digits that the widest type holds.
const MOST_DIGITS: u32 = 76;
/// Digits that 128 bits hold.
const NARROW_DIGITS: u32 = 38;

/// `unscaled / 10^scale`, with `digits` digits in `unscaled`, none of them a leading zero.
struct Value {
    unscaled: i256,
    digits: u32,
    scale: u32,
}

#[derive(Debug, PartialEq)]
enum Unfit {
    Digits,
    Scale,
    Infinite,
}

fn power_of_ten(exponent: u32) -> i256 {
    i256::from_i128(10).wrapping_pow(exponent)
}

/// The value in Python's text of a Decimal, such as `-12.50` or `1E+3`; `None` for NaN.
fn parse(text: &str) -> Result<Option<Value>, Unfit> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    if text == "Infinity" {
        return Err(Unfit::Infinite);
    }
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(None);
    }
    let (mantissa, exponent) = match text.split_once('E') {
        // Python's exponents have up to 19 digits.
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i128>().map_err(|_| Unfit::Digits)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0').collect();
    let exponent = exponent - fraction.len() as i128;
    let scale = u32::try_from((-exponent).max(0)).ok().filter(|scale| *scale <= MOST_DIGITS).ok_or(Unfit::Scale)?;
    if digits.is_empty() {
        return Ok(Some(Value { unscaled: i256::ZERO, digits: 0, scale }));
    }
    let zeros = exponent.max(0);
    let needed = digits.len() as i128 + zeros;
    let needed = u32::try_from(needed).ok().filter(|needed| *needed <= MOST_DIGITS).ok_or(Unfit::Digits)?;
    let mut unscaled = i256::ZERO;
    // Halves that 128 bits hold.
    for half in digits.chunks(NARROW_DIGITS as usize) {
        let value = half.iter().fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        unscaled = unscaled.wrapping_mul(power_of_ten(half.len() as u32)).wrapping_add(i256::from_i128(value));
    }
    unscaled = unscaled.wrapping_mul(power_of_ten(needed - digits.len() as u32));
    if negative {
        unscaled = unscaled.wrapping_neg();
    }
    Ok(Some(Value { unscaled, digits: needed, scale }))
}

/// The cells, all of them Decimals, as decimals of 128 bits if these hold them, else of 256.
pub(super) fn column<'py>(
    py: Python<'py>,
    name: &str,
    cells: impl Iterator<Item = Option<Bound<'py, PyAny>>>,
) -> PyResult<ArrayRef> {
    let cells: Vec<_> = cells.collect();
    // Of the class itself: a subclass may print itself otherwise.
    let to_text = py.import("decimal")?.getattr("Decimal")?.cast_into::<PyType>()?.getattr("__str__")?;
    let mut values = Vec::with_capacity(cells.len());
    for (row, cell) in cells.iter().enumerate() {
        let Some(cell) = cell else {
            values.push(None);
            continue;
        };
        let text = to_text.call1((cell,))?;
        values.push(parse(&text.extract::<String>()?).map_err(|unfit| {
            let message = match unfit {
                Unfit::Digits => "a decimal has at most 76 digits; round it, or cast the column to a string",
                Unfit::Scale => {
                    "a decimal has at most 76 fractional digits; round it, as with decimal.Context(prec=76).plus(value), \
                     or cast the column to a string"
                }
                Unfit::Infinite => "QuestDB's decimals have no infinity; use None, or cast the column to float64",
            };
            bad_value(py, name, row, &repr(cell), message)
        })?);
    }
    let scale = values.iter().flatten().map(|value| value.scale).max().unwrap_or(0);
    let mut precision = scale.max(1);
    for (row, value) in values.iter().enumerate() {
        let Some(value) = value.as_ref().filter(|value| value.digits > 0) else { continue };
        let digits = value.digits + (scale - value.scale);
        if digits > MOST_DIGITS {
            let message = format!(
                "a decimal has at most 76 digits, and with the column's {scale} fractional digits this value has \
                 {digits}; round the column's values to fewer fractional digits, or cast it to a string"
            );
            let cell = cells[row].as_ref().map(repr).unwrap_or_default();
            return Err(bad_value(py, name, row, &cell, &message));
        }
        precision = precision.max(digits);
    }
    let at_scale = |value: Value| value.unscaled.wrapping_mul(power_of_ten(scale - value.scale));
    let values = values.into_iter().map(|value| value.map(at_scale));
    let (precision, narrow, scale) = (precision as u8, precision <= NARROW_DIGITS, scale as i8);
    let array: Result<ArrayRef, _> = if narrow {
        Decimal128Array::from_iter(values.map(|value| value.map(i256::as_i128)))
            .with_precision_and_scale(precision, scale)
            .map(|array| Arc::new(array) as ArrayRef)
    } else {
        Decimal256Array::from_iter(values)
            .with_precision_and_scale(precision, scale)
            .map(|array| Arc::new(array) as ArrayRef)
    };
    array.map_err(|error| bad_column(py, name, &error.to_string()))
}
