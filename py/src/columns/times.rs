//! Instants, dates, times of day and durations as Python objects: exactly, in microseconds or, where a cell of pandas
//! has nanoseconds, in those. NumPy's scalars are among them, in whatever unit they count.

use std::sync::Arc;

use arrow_array::builder::{Date32Builder, Time64NanosecondBuilder};
use arrow_array::types::{
    ArrowPrimitiveType, DurationMicrosecondType, DurationNanosecondType, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use arrow_array::{ArrayRef, PrimitiveArray};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDelta, PyTzInfo};

use super::objects::repr;
use crate::error::bad_value;

/// Whether a `numpy.datetime64` or `numpy.timedelta64` is NaT.
pub(super) fn is_nat(scalar: &Bound<'_, PyAny>) -> PyResult<bool> {
    scalar.py().import("numpy")?.call_method1("isnat", (scalar,))?.is_truthy()
}

/// The nanoseconds of a `numpy.datetime64`, since 1970, or of a `numpy.timedelta64`.
fn numpy_nanos(scalar: &Bound<'_, PyAny>, is_instant: bool) -> PyResult<i128> {
    let failed = |message| Err(PyValueError::new_err(message));
    let numpy = scalar.py().import("numpy")?;
    let (unit, each): (String, i128) = numpy.call_method1("datetime_data", (scalar.getattr("dtype")?,))?.extract()?;
    let count = scalar.call_method1("astype", ("int64",))?.extract::<i64>()?;
    let (many, few) = match unit.as_str() {
        // Of so many the instant does not fit anyhow, and NumPy would not see that its days do not fit either.
        "Y" | "M" if is_instant && count.unsigned_abs() < 1 << 32 => {
            return numpy_nanos(&scalar.call_method1("astype", ("datetime64[D]",))?, true);
        }
        "Y" | "M" if is_instant => return failed("it is too far from 1970"),
        "Y" | "M" => return failed("not all months are as long"),
        "W" => (7 * 86_400_000_000_000, 1),
        "D" => (86_400_000_000_000, 1),
        "h" => (3_600_000_000_000, 1),
        "m" => (60_000_000_000, 1),
        "s" => (1_000_000_000, 1),
        "ms" => (1_000_000, 1),
        "us" => (1_000, 1),
        "ns" => (1, 1),
        "ps" => (1, 1_000),
        "fs" => (1, 1_000_000),
        "as" => (1, 1_000_000_000),
        _ => return failed("it has no unit"),
    };
    match i128::from(count).checked_mul(each).and_then(|count| count.checked_mul(many)) {
        None => failed("it is too large"),
        Some(nanos) if nanos % few != 0 => failed("it is finer than nanoseconds"),
        Some(nanos) => Ok(nanos / few),
    }
}

/// Whether it is one of NumPy's scalars, and none of Python's or pandas' objects.
fn is_numpy(cell: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(!cell.is_instance_of::<PyDateTime>() && !cell.is_instance_of::<PyDelta>() && cell.hasattr("dtype")?)
}

/// The nanoseconds of a `datetime.timedelta` or `pandas.Timedelta`. Any there is fits by far.
fn nanos(delta: &Bound<'_, PyAny>) -> PyResult<i128> {
    let part = |name| delta.getattr(name)?.extract::<i64>().map(i128::from);
    let seconds = part("days")? * 86_400 + part("seconds")?;
    let nanos = match delta.getattr_opt("nanoseconds")? {
        Some(nanos) => i128::from(nanos.extract::<i64>()?),
        None => 0,
    };
    Ok((seconds * 1_000_000 + part("microseconds")?) * 1000 + nanos)
}

/// Columns of `Nanos` if a value needs them, else of `Micros`.
fn column<'py, Micros, Nanos>(
    py: Python<'py>,
    name: &str,
    cells: impl Iterator<Item = Option<Bound<'py, PyAny>>>,
    nanos_of: impl Fn(&Bound<'py, PyAny>) -> PyResult<i128>,
) -> PyResult<ArrayRef>
where
    Micros: ArrowPrimitiveType<Native = i64>,
    Nanos: ArrowPrimitiveType<Native = i64>,
{
    let cells: Vec<_> = cells.collect();
    let mut values = Vec::with_capacity(cells.len());
    for (row, cell) in cells.iter().enumerate() {
        let value = cell.as_ref().map(|cell| {
            nanos_of(cell).map_err(|error| {
                let message = format!("no 64-bit value can be made of it ({}); correct it", error.value(py));
                bad_value(py, name, row, &repr(cell), &message)
            })
        });
        values.push(value.transpose()?);
    }
    let is_fine = values.iter().flatten().any(|nanos| nanos % 1000 != 0);
    let mut stored = Vec::with_capacity(cells.len());
    for (row, (value, cell)) in values.into_iter().zip(cells).enumerate() {
        let value = value.map(|nanos| {
            i64::try_from(if is_fine { nanos } else { nanos / 1000 }).map_err(|_| {
                let message = if is_fine {
                    "it does not fit 64-bit nanoseconds, which other rows of the column need; correct it, or round \
                     those to microseconds, as with series.map(lambda cell: pandas.Timestamp(cell).round(\"us\"))"
                } else {
                    "it does not fit 64-bit microseconds; correct it"
                };
                bad_value(py, name, row, &cell.as_ref().map(repr).unwrap_or_default(), message)
            })
        });
        stored.push(value.transpose()?);
    }
    Ok(if is_fine {
        Arc::new(PrimitiveArray::<Nanos>::from_iter(stored))
    } else {
        Arc::new(PrimitiveArray::<Micros>::from_iter(stored))
    })
}

/// Datetimes, pandas' Timestamps and `numpy.datetime64`; naive ones are UTC.
pub(super) fn instants<'py>(
    py: Python<'py>,
    name: &str,
    cells: impl Iterator<Item = Option<Bound<'py, PyAny>>>,
) -> PyResult<ArrayRef> {
    let naive = PyDateTime::new(py, 1970, 1, 1, 0, 0, 0, 0, None)?;
    let aware = PyDateTime::new(py, 1970, 1, 1, 0, 0, 0, 0, Some(&*PyTzInfo::utc(py)?))?;
    column::<TimestampMicrosecondType, TimestampNanosecondType>(py, name, cells, |cell| {
        if is_numpy(cell)? {
            return numpy_nanos(cell, true);
        }
        let epoch = if cell.getattr("tzinfo")?.is_none() { &naive } else { &aware };
        nanos(&cell.sub(epoch)?)
    })
}

/// Timedeltas, those of NumPy among them.
pub(super) fn durations<'py>(
    py: Python<'py>,
    name: &str,
    cells: impl Iterator<Item = Option<Bound<'py, PyAny>>>,
) -> PyResult<ArrayRef> {
    column::<DurationMicrosecondType, DurationNanosecondType>(py, name, cells, |cell| {
        if is_numpy(cell)? { numpy_nanos(cell, false) } else { nanos(cell) }
    })
}

/// Days.
pub(super) fn dates<'py>(cells: impl Iterator<Item = Option<Bound<'py, PyAny>>>) -> PyResult<ArrayRef> {
    /// `date(1970, 1, 1).toordinal()`
    const EPOCH: i32 = 719_163;
    let mut builder = Date32Builder::new();
    for cell in cells {
        let day = cell.map(|cell| cell.call_method0("toordinal")?.extract::<i32>());
        builder.append_option(day.transpose()?.map(|day| day - EPOCH));
    }
    Ok(Arc::new(builder.finish()))
}

/// Nanoseconds since midnight.
pub(super) fn times_of_day<'py>(
    py: Python<'py>,
    name: &str,
    cells: impl Iterator<Item = Option<Bound<'py, PyAny>>>,
) -> PyResult<ArrayRef> {
    let mut builder = Time64NanosecondBuilder::new();
    for (row, cell) in cells.enumerate() {
        let Some(cell) = cell else {
            builder.append_null();
            continue;
        };
        if !cell.getattr("tzinfo")?.is_none() {
            let message = "a time of day with a time zone is no instant; remove it with time.replace(tzinfo=None)";
            return Err(bad_value(py, name, row, &repr(&cell), message));
        }
        let part = |name| cell.getattr(name)?.extract::<i64>();
        let seconds = (part("hour")? * 60 + part("minute")?) * 60 + part("second")?;
        builder.append_value((seconds * 1_000_000 + part("microsecond")?) * 1000);
    }
    Ok(Arc::new(builder.finish()))
}
