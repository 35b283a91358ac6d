//! Columns of Python objects. The first cell that holds a value decides for its column; another kind is an error.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, NullArray};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDate, PyDateTime, PyDelta, PyFloat, PyInt, PyList, PyString, PyTime, PyTuple, PyType,
};

use super::{decimals, nested, times};
use crate::error::{bad_column, bad_value};

/// Kinds of cells an object column may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Missing,
    /// A float that is no number: missing, but a value in a column of floats.
    Nan,
    Boolean,
    Integer,
    Float,
    String,
    Instant,
    Date,
    Time,
    Duration,
    Decimal,
    Uuid,
    Address,
    Array,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Nan => "NaN",
            Self::Boolean => "bool",
            Self::Integer => "int",
            Self::Float => "float",
            Self::String => "str",
            Self::Instant => "datetime",
            Self::Date => "date",
            Self::Time => "time",
            Self::Duration => "timedelta",
            Self::Decimal => "Decimal",
            Self::Uuid => "UUID",
            Self::Address => "IP address",
            Self::Array => "array",
        }
    }
}

/// Whether the cell is of a class of the standard library or of NumPy that pyo3 does not know.
fn is_a(cell: &Bound<'_, PyAny>, class: &PyOnceLock<Py<PyType>>, module: &str, name: &str) -> PyResult<bool> {
    cell.is_instance(class.import(cell.py(), module, name)?)
}

fn kind_of(cell: &Bound<'_, PyAny>) -> PyResult<Option<Kind>> {
    static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static ARRAY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static UUID: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static IPV4: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static IPV6: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static NUMPY_BOOL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static NUMPY_INTEGER: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static NUMPY_INSTANT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static NUMPY_DURATION: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static NUMPY_SINGLE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static NUMPY_HALF: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if cell.is_none() {
        return Ok(Some(Kind::Missing));
    }
    let float = || PyResult::Ok(if cell.extract::<f64>()?.is_nan() { Kind::Nan } else { Kind::Float });
    let unless_nat = |kind| PyResult::Ok(if times::is_nat(cell)? { Kind::Missing } else { kind });
    Ok(Some(if cell.is_instance_of::<PyBool>() {
        Kind::Boolean
    } else if cell.is_instance_of::<PyString>() {
        Kind::String
    } else if cell.is_instance_of::<PyInt>() {
        Kind::Integer
    } else if cell.is_instance_of::<PyFloat>() {
        float()?
    } else if cell.get_type().is(ARRAY.import(cell.py(), "numpy", "ndarray")?) {
        // Early: of these there are many, where there are any.
        Kind::Array
    } else if is_a(cell, &DECIMAL, "decimal", "Decimal")? {
        Kind::Decimal
    } else if matches!(&*cell.get_type().name()?.to_string_lossy(), "NAType" | "NaTType") {
        // Before datetimes: NaT is one of them.
        Kind::Missing
    } else if cell.is_instance_of::<PyDateTime>() {
        Kind::Instant
    } else if cell.is_instance_of::<PyDate>() {
        Kind::Date
    } else if cell.is_instance_of::<PyTime>() {
        Kind::Time
    } else if cell.is_instance_of::<PyDelta>() {
        Kind::Duration
    } else if cell.is_instance_of::<PyList>()
        || cell.is_instance_of::<PyTuple>()
        || is_a(cell, &ARRAY, "numpy", "ndarray")?
    {
        Kind::Array
    } else if is_a(cell, &UUID, "uuid", "UUID")? {
        Kind::Uuid
    } else if is_a(cell, &IPV4, "ipaddress", "IPv4Address")? || is_a(cell, &IPV6, "ipaddress", "IPv6Address")? {
        Kind::Address
    } else if is_a(cell, &NUMPY_BOOL, "numpy", "bool_")? {
        Kind::Boolean
    } else if is_a(cell, &NUMPY_SINGLE, "numpy", "float32")? || is_a(cell, &NUMPY_HALF, "numpy", "float16")? {
        float()?
    } else if is_a(cell, &NUMPY_INSTANT, "numpy", "datetime64")? {
        unless_nat(Kind::Instant)?
    } else if is_a(cell, &NUMPY_DURATION, "numpy", "timedelta64")? {
        // Before integers: to NumPy its durations are such.
        unless_nat(Kind::Duration)?
    } else if is_a(cell, &NUMPY_INTEGER, "numpy", "integer")? {
        Kind::Integer
    } else {
        return Ok(None);
    }))
}

/// What to do with an object that is of none of the kinds.
fn cure(cell: &Bound<'_, PyAny>) -> PyResult<&'static str> {
    Ok(if cell.is_instance_of::<PyBytes>() {
        "turn the column into strings, as with series.str.decode(\"utf-8\")"
    } else if cell.get_type().module()?.to_string_lossy().starts_with("numpy") {
        "turn them into Python's own objects or into a NumPy column, as with frame.infer_objects()"
    } else {
        "turn the column into strings or numbers"
    })
}

/// The cell in an error message.
pub(super) fn repr(cell: &Bound<'_, PyAny>) -> String {
    const SHOWN: usize = 60;
    let text = cell.repr().map(|text| text.to_string()).unwrap_or_default();
    if text.chars().count() > SHOWN { text.chars().take(SHOWN).chain("...".chars()).collect() } else { text }
}

/// The kind of each cell, and the one that the column has.
fn kinds(py: Python<'_>, name: &str, cells: &Bound<'_, PyList>) -> PyResult<(Vec<Kind>, Option<Kind>)> {
    let mut kinds = Vec::with_capacity(cells.len());
    let mut chosen = None;
    for (row, cell) in cells.iter().enumerate() {
        let Some(kind) = kind_of(&cell)? else {
            let class = cell.get_type().fully_qualified_name()?;
            let advice = format!("objects of type {class} have no form in ILP; {}", cure(&cell)?);
            return Err(bad_value(py, name, row, &repr(&cell), &advice));
        };
        match chosen {
            _ if matches!(kind, Kind::Missing | Kind::Nan) => {}
            None => chosen = Some(kind),
            Some(first) if first != kind => {
                let is_number = |kind| matches!(kind, Kind::Integer | Kind::Float | Kind::Decimal);
                let cure = match is_number(first) && is_number(kind) {
                    true => "astype(\"Float64\"), or astype(\"string\") to keep every digit",
                    false => "astype(\"string\")",
                };
                let message = format!(
                    "the column holds objects of type {} and {}; make them all one type, for instance with {cure}",
                    first.name(),
                    kind.name()
                );
                return Err(bad_value(py, name, row, &repr(&cell), &message));
            }
            Some(_) => {}
        }
        kinds.push(kind);
    }
    Ok((kinds, chosen))
}

/// The cells as an Arrow array, and the metadata that its field needs.
pub(super) fn column(
    py: Python<'_>,
    name: &str,
    cells: &Bound<'_, PyList>,
) -> PyResult<(ArrayRef, HashMap<String, String>)> {
    let (kinds, chosen) = kinds(py, name, cells)?;
    let mut metadata = HashMap::new();
    let is_there = |kind| kind != Kind::Missing && (kind != Kind::Nan || chosen == Some(Kind::Float));
    let cells = cells.iter().zip(kinds).map(|(cell, kind)| is_there(kind).then_some(cell));
    let array: ArrayRef = match chosen {
        None => Arc::new(NullArray::new(cells.len())),
        Some(Kind::Boolean) => {
            let mut builder = BooleanBuilder::new();
            for cell in cells {
                builder.append_option(cell.map(|cell| cell.is_truthy()).transpose()?);
            }
            Arc::new(builder.finish())
        }
        Some(Kind::Integer) => {
            let mut builder = Int64Builder::new();
            for (row, cell) in cells.enumerate() {
                let value = cell.map(|cell| {
                    cell.extract::<i64>().map_err(|_| {
                        let message = "the integer does not fit 64 bits; cast the column to a string or to float64";
                        bad_value(py, name, row, &repr(&cell), message)
                    })
                });
                builder.append_option(value.transpose()?);
            }
            Arc::new(builder.finish())
        }
        Some(Kind::Float) => {
            let mut builder = Float64Builder::new();
            for cell in cells {
                builder.append_option(cell.map(|cell| cell.extract::<f64>()).transpose()?);
            }
            Arc::new(builder.finish())
        }
        Some(Kind::String) => {
            let mut builder = StringBuilder::new();
            for (row, cell) in cells.enumerate() {
                let text = cell.map(|cell| {
                    cell.extract::<String>().map_err(|_| {
                        let message = "the string holds lone surrogates and is not valid Unicode; repair it";
                        bad_value(py, name, row, &repr(&cell), message)
                    })
                });
                builder.append_option(text.transpose()?);
            }
            Arc::new(builder.finish())
        }
        Some(Kind::Address) => {
            let mut builder = StringBuilder::new();
            for cell in cells {
                builder.append_option(cell.map(|cell| Ok::<_, PyErr>(cell.str()?.to_string())).transpose()?);
            }
            Arc::new(builder.finish())
        }
        Some(Kind::Uuid) => {
            metadata.insert("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned());
            let mut builder = FixedSizeBinaryBuilder::new(16);
            for cell in cells {
                match cell {
                    // Sixteen, or the builder refuses.
                    Some(cell) => builder
                        .append_value(cell.getattr("bytes")?.extract::<&[u8]>()?)
                        .map_err(|error| bad_column(py, name, &error.to_string()))?,
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        Some(Kind::Instant) => times::instants(py, name, cells)?,
        Some(Kind::Date) => times::dates(cells)?,
        Some(Kind::Time) => times::times_of_day(py, name, cells)?,
        Some(Kind::Duration) => times::durations(py, name, cells)?,
        Some(Kind::Decimal) => decimals::column(py, name, cells)?,
        Some(Kind::Array) => nested::column(py, name, cells)?,
        Some(Kind::Missing | Kind::Nan) => return Err(bad_column(py, name, "all values are missing")),
    };
    Ok((array, metadata))
}
