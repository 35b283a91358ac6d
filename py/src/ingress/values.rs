//! A Python row to a line: the types of its values, in the order of the official client's checks.
//!
//! Source: `spec/dataframe.md` 1.7. Types are exact where the official client's are.

use std::sync::atomic::{AtomicBool, Ordering};

use arrow_buffer::i256;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDateTime, PyDict, PyFloat, PyInt, PyString, PyType};
use questframe::{ErrorKind, Row, RowAt, RowBuffer, RowError};

use super::errors::{of_row, text};
use super::instants::{TimestampMicros, TimestampNanos, micros_of};
use super::items::for_each;
use crate::error::bare;

static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static SERVER: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// The arguments of `row()` beside the table.
pub(super) struct Values<'a, 'py> {
    /// Whether it has been said that a column takes the place of `at`.
    pub(super) has_warned: &'a AtomicBool,
    pub(super) symbols: Option<&'a Bound<'py, PyDict>>,
    pub(super) columns: Option<&'a Bound<'py, PyDict>>,
    pub(super) at: &'a Bound<'py, PyAny>,
}

fn type_name(value: &Bound<'_, PyAny>) -> String {
    let named = || {
        let of = value.get_type();
        match of.module()?.to_cow()?.as_ref() {
            "builtins" | "__main__" => of.qualname()?.to_cow().map(|name| name.into_owned()),
            _ => of.fully_qualified_name()?.to_cow().map(|name| name.into_owned()),
        }
    };
    named().unwrap_or_default()
}

/// A string and nothing else, also no subclass.
fn exact_text<'t, 'py>(value: &'t Bound<'py, PyAny>) -> PyResult<&'t Bound<'py, PyString>> {
    if value.is_exact_instance_of::<PyString>()
        && let Ok(text) = value.cast::<PyString>()
    {
        return Ok(text);
    }
    Err(PyTypeError::new_err(format!("Expected str, got {}", type_name(value))))
}

/// The table's name of a row.
///
/// # Errors
/// `TypeError` for anything but a `str`.
pub(super) fn table_name<'t, 'py>(value: &'t Bound<'py, PyAny>) -> PyResult<&'t Bound<'py, PyString>> {
    exact_text(value).map_err(|_| {
        let name = type_name(value);
        PyTypeError::new_err(format!("Argument 'table_name' has incorrect type (expected str, got {name})"))
    })
}

/// # Errors
/// `InvalidTimestamp` for None: that is told first.
pub(super) fn check_at(at: &Bound<'_, PyAny>) -> PyResult<()> {
    if at.is_none() {
        let message = "`at` must be of type TimestampNanos, datetime, or ServerTimestamp";
        return Err(bare(at.py(), ErrorKind::InvalidTimestamp, message));
    }
    Ok(())
}

/// Writes a row, or nothing if it holds nothing.
pub(super) fn write(buffer: &mut RowBuffer, table: &Bound<'_, PyString>, values: &Values<'_, '_>) -> PyResult<()> {
    let py = table.py();
    check_at(values.at)?;
    for (name, dict) in [("symbols", values.symbols), ("columns", values.columns)] {
        if let Some(dict) = dict.filter(|dict| !dict.is_exact_instance_of::<PyDict>()) {
            let message =
                format!("Argument '{name}' has incorrect type (expected dict, got {})", type_name(dict.as_any()));
            return Err(PyTypeError::new_err(message));
        }
    }
    let failed = |error: RowError| of_row(py, &error);
    let mut row = buffer.row(text(table)?).map_err(failed)?;
    let mut is_touched = false;
    if let Some(symbols) = values.symbols {
        for_each(symbols, |name, value| {
            if value.is_none() {
                return Ok(());
            }
            is_touched = true;
            let (name, value) = (exact_text(name)?, exact_text(value)?);
            let name = text(name)?;
            // Of a bad name and a bad value the name is told.
            let value =
                text(value).or_else(|error| RowBuffer::check_column_name(name).map_err(failed).and(Err(error)))?;
            row.symbol(name, value).map_err(failed)
        })?;
    }
    if let Some(columns) = values.columns {
        for_each(columns, |name, value| {
            if value.is_none() {
                return Ok(());
            }
            is_touched = true;
            let name = text(exact_text(name)?)?;
            if name.eq_ignore_ascii_case("timestamp") {
                warn_of_shadow(name, value, values)?;
            }
            // Of a bad name and a bad value the name is told.
            field(&mut row, name, value)
                .or_else(|error| RowBuffer::check_column_name(name).map_err(failed).and(Err(error)))
        })?;
    }
    if !is_touched {
        return Ok(());
    }
    let at = at(values.at)?;
    row.finish(at).map_err(failed)
}

/// Warns, once, of an instant that the server will take for the designated timestamp although there is another.
///
/// # Errors
/// The warning, where warnings are errors.
#[cold]
fn warn_of_shadow(name: &str, value: &Bound<'_, PyAny>, values: &Values<'_, '_>) -> PyResult<()> {
    let py = value.py();
    let is_instant = value.is_instance_of::<TimestampMicros>()
        || value.is_instance_of::<TimestampNanos>()
        || value.is_instance_of::<PyDateTime>();
    let is_shadow = is_instant && at(values.at).is_ok_and(|at| at != RowAt::Server);
    if is_shadow && !values.has_warned.swap(true, Ordering::Relaxed) {
        py.import("questframe.ingress._warnings")?.call_method1("warn_of_shadow", (name,))?;
    }
    Ok(())
}

fn field(row: &mut Row<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let done = if let Ok(value) = value.cast_exact::<PyFloat>() {
        row.float(name, value.value())
    } else if value.is_exact_instance_of::<PyInt>() {
        row.integer(name, value.extract()?)
    } else if let Ok(value) = value.cast_exact::<PyString>() {
        row.text(name, text(value)?)
    } else if let Ok(value) = value.cast_exact::<PyBool>() {
        row.boolean(name, value.is_true())
    } else if let Ok(value) = value.cast::<TimestampMicros>() {
        row.micros(name, value.get().value)
    } else if let Ok(value) = value.cast::<TimestampNanos>() {
        row.nanos(name, value.get().value)
    } else if value.is_instance_of::<PyDateTime>() {
        row.micros(name, micros_of(value)?)
    } else if value.is_instance(DECIMAL.import(value.py(), "decimal", "Decimal")?)? {
        return decimal(row, name, value);
    } else if value.get_type().fully_qualified_name()?.to_cow()? == "numpy.ndarray" {
        return array(row, name, value);
    } else {
        return Err(PyTypeError::new_err(format!(
            "Unsupported type: {}. Must be one of: bool, int, float, str, TimestampMicros, TimestampNanos, \
             datetime.datetime, numpy.ndarray, decimal.Decimal",
            type_name(value)
        )));
    };
    done.map_err(|error| of_row(value.py(), &error))
}

fn at(value: &Bound<'_, PyAny>) -> PyResult<RowAt> {
    if let Ok(value) = value.cast::<TimestampNanos>() {
        return Ok(RowAt::Nanos(value.get().value));
    }
    if let Ok(value) = value.cast::<TimestampMicros>() {
        return Ok(RowAt::Micros(value.get().value));
    }
    let server = SERVER.import(value.py(), "questframe._timestamps", "ServerTimestampType")?;
    if value.is_instance(server)? {
        return Ok(RowAt::Server);
    }
    if value.is_instance_of::<PyDateTime>() {
        return micros_of(value).map(RowAt::Micros);
    }
    Err(PyTypeError::new_err(format!(
        "Unsupported type: {}. Must be one of: TimestampNanos, TimestampMicros, datetime, ServerTimestamp",
        type_name(value)
    )))
}

fn array(row: &mut Row<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = value.py();
    let dtype = value.getattr("dtype")?;
    let form: String = dtype.getattr("str")?.extract()?;
    let native = match form.as_str() {
        "<f8" => value.clone(),
        ">f8" => value.call_method1("astype", ("<f8",))?,
        _ => {
            let message = format!("Only float64 numpy arrays are supported, got dtype: {}", dtype.str()?.to_cow()?);
            return Err(bare(py, ErrorKind::ArrayError, &message));
        }
    };
    let dims: Vec<usize> = value.getattr("shape")?.extract()?;
    // In row-major order, whatever the strides.
    let bytes = native.call_method0("tobytes")?;
    let (elements, _) = bytes.cast::<PyBytes>()?.as_bytes().as_chunks::<8>();
    let elements = elements.iter().map(|bytes| f64::from_le_bytes(*bytes));
    row.array(name, &dims, elements).map_err(|error| of_row(py, &error))
}

/// NaN and infinities are left out, but for the check of the name.
fn decimal(row: &mut Row<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = value.py();
    // Of the class itself: a subclass may print itself otherwise.
    let to_text = DECIMAL.import(py, "decimal", "Decimal")?.getattr("__str__")?;
    let text: String = to_text.call1((value,))?.extract()?;
    let done = match parse_decimal(&text) {
        Ok(None) => RowBuffer::check_column_name(name),
        Ok(Some((unscaled, scale))) => row.decimal(name, unscaled, scale),
        Err(error) => Err(error),
    };
    done.map_err(|error| of_row(py, &error))
}

/// The digits and the scale in Python's text of a Decimal, such as `-12.50` or `1E+3`; `None` for NaN and infinities.
fn parse_decimal(text: &str) -> Result<Option<(i256, u32)>, RowError> {
    /// More digits 32 bytes do not hold.
    const MOST_DIGITS: usize = 77;
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(None);
    }
    let (mantissa, exponent) = match text.split_once('E') {
        // Python's exponents have up to 19 digits.
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i128>().map_err(|_| RowError::DecimalSize)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent - fraction.len() as i128;
    let scale = u32::try_from((-exponent).max(0)).unwrap_or(u32::MAX);
    if scale > 76 {
        return Err(RowError::DecimalScale(scale));
    }
    let mut digits: String = whole.chars().chain(fraction.chars()).skip_while(|digit| *digit == '0').collect();
    let zeros = usize::try_from(exponent.max(0)).ok().filter(|zeros| *zeros < MOST_DIGITS);
    let zeros = zeros.ok_or(RowError::DecimalSize)?;
    if digits.is_empty() {
        return Ok(Some((i256::ZERO, scale)));
    }
    digits.extend(std::iter::repeat_n('0', zeros));
    if digits.len() > MOST_DIGITS {
        return Err(RowError::DecimalSize);
    }
    let value = i256::from_string(&format!("{sign}{digits}")).ok_or(RowError::DecimalSize)?;
    Ok(Some((value, scale)))
}

/// The numbers of a buffer's constructor, as the official client takes them.
///
/// # Errors
/// `TypeError`, `OverflowError`.
pub(super) fn size(name: &str, value: &Bound<'_, PyAny>) -> PyResult<usize> {
    let is_text = value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>();
    if is_text || !(value.hasattr("__int__")? || value.hasattr("__index__")?) {
        let message = format!("Argument '{name}' has incorrect type (expected int, got {})", type_name(value));
        return Err(PyTypeError::new_err(message));
    }
    let whole = value.py().get_type::<PyInt>().call1((value,))?;
    whole.extract::<usize>()
}

/// # Errors
/// `ValueError` for a negative number.
pub(super) fn additional(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    if !value.is_instance_of::<PyString>() && value.lt(0).unwrap_or(false) {
        return Err(PyValueError::new_err("additional must be non-negative."));
    }
    size("additional", value)
}
