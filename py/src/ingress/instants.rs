//! `TimestampNanos` and `TimestampMicros`: made once for each row, so compiled.

use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDateTime, PyInt, PyString, PyType};

/// Microseconds since the epoch of a datetime; a naive one is local time.
pub(super) fn micros_of(datetime: &Bound<'_, PyAny>) -> PyResult<i64> {
    let convert = datetime.py().import("questframe._instants")?.getattr("micros_of_datetime")?;
    convert.call1((datetime,))?.extract()
}

fn value_of(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    let is_whole = value.is_exact_instance_of::<PyInt>();
    if is_whole && let Ok(value @ 0..) = value.extract::<i64>() {
        return Ok(value);
    }
    let whole = if is_whole {
        value.clone()
    } else {
        let is_text = value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>();
        if is_text || !(value.hasattr("__int__")? || value.hasattr("__index__")?) {
            let name = value.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "Argument 'value' has incorrect type (expected int, got {name})"
            )));
        }
        value.py().get_type::<PyInt>().call1((value,))?
    };
    match whole.extract::<i64>() {
        Ok(value @ 0..) => Ok(value),
        Ok(_) => Err(PyValueError::new_err("value must be a positive integer.")),
        Err(_) if whole.lt(0)? => Err(PyValueError::new_err("value must be a positive integer.")),
        Err(_) => Err(PyOverflowError::new_err("value does not fit 64 bits.")),
    }
}

fn now() -> PyResult<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.ok()
        .and_then(|now| i64::try_from(now.as_nanos()).ok())
        .ok_or_else(|| PyValueError::new_err("the clock of this machine is not between 1970 and 2262"))
}

macro_rules! instant {
    ($name:ident, $nanos:literal, $unit:literal) => {
        #[doc = concat!("An instant in ", $unit, " since 1970-01-01 UTC.")]
        #[pyclass(frozen, subclass, module = "questframe")]
        #[derive(Debug)]
        pub(crate) struct $name {
            #[doc = concat!("The ", $unit, " since 1970-01-01 UTC.")]
            #[pyo3(get)]
            pub(super) value: i64,
        }

        #[pymethods]
        impl $name {
            #[new]
            fn new(value: &Bound<'_, PyAny>) -> PyResult<Self> {
                Ok(Self { value: value_of(value)? })
            }

            /// The present instant of this machine's clock.
            #[staticmethod]
            fn now() -> PyResult<Self> {
                Ok(Self { value: now()? / $nanos })
            }

            /// An aware datetime; a naive one is taken for local time, as the official client does.
            #[staticmethod]
            fn from_datetime(dt: &Bound<'_, PyAny>) -> PyResult<Self> {
                if !dt.is_instance_of::<PyDateTime>() {
                    return Err(PyTypeError::new_err("dt must be a datetime object."));
                }
                match micros_of(dt)? {
                    micros @ 0.. => micros
                        .checked_mul(1000 / $nanos)
                        .map(|value| Self { value })
                        .ok_or_else(|| PyValueError::new_err("the year is after 2262, which nanoseconds do not reach")),
                    _ => Err(PyValueError::new_err("value must be a positive integer.")),
                }
            }

            fn __repr__(&self) -> String {
                format!(concat!(stringify!($name), "({})"), self.value)
            }

            fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (i64,)) {
                (slf.get_type(), (slf.get().value,))
            }
        }
    };
}

instant!(TimestampNanos, 1, "nanoseconds");
instant!(TimestampMicros, 1000, "microseconds");
