//! The one place where errors become Python exceptions: `questframe.IngressError` with its attributes.

use std::ops::Range;

use pyo3::exceptions::{PyBaseException, PyException, PyKeyboardInterrupt, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use questframe::{Error, ErrorKind};

/// The name of the `IngressErrorCode` member.
fn code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::CouldNotResolveAddr => "CouldNotResolveAddr",
        ErrorKind::InvalidApiCall => "InvalidApiCall",
        ErrorKind::SocketError => "SocketError",
        ErrorKind::InvalidUtf8 => "InvalidUtf8",
        ErrorKind::InvalidName => "InvalidName",
        ErrorKind::InvalidTimestamp => "InvalidTimestamp",
        ErrorKind::AuthError => "AuthError",
        ErrorKind::TlsError => "TlsError",
        ErrorKind::HttpNotSupported => "HttpNotSupported",
        ErrorKind::ServerFlushError => "ServerFlushError",
        ErrorKind::ConfigError => "ConfigError",
        ErrorKind::ArrayError => "ArrayError",
        ErrorKind::ProtocolVersionError => "ProtocolVersionError",
        ErrorKind::DecimalError => "DecimalError",
        _ => "BadDataFrame",
    }
}

fn ranges<'py>(py: Python<'py>, ranges: &[Range<u64>]) -> PyResult<Bound<'py, PyTuple>> {
    let range = py.import("builtins")?.getattr("range")?;
    let ranges = ranges.iter().map(|r| range.call1((r.start, r.end))).collect::<PyResult<Vec<_>>>()?;
    PyTuple::new(py, ranges)
}

fn exception(py: Python<'_>, code: &str, message: &str, details: &Bound<'_, PyDict>) -> PyResult<PyErr> {
    exception_of(py, "IngressError", code, message, details)
}

fn exception_of(
    py: Python<'_>,
    class: &str,
    code: &str,
    message: &str,
    details: &Bound<'_, PyDict>,
) -> PyResult<PyErr> {
    let exceptions = py.import("questframe.exceptions")?;
    let code = exceptions.getattr("IngressErrorCode")?.getattr(code)?;
    let error = exceptions.getattr(class)?.call((code, message), Some(details))?;
    Ok(PyErr::from_value(error))
}

/// The exception for an object that exports itself as Arrow, but not as record batches.
///
/// What the object itself raises goes on as it is; pyo3-arrow raises `ValueError` for schemas that are no struct, and
/// `TypeError` for what is no capsule.
pub(crate) fn no_frame(data: &Bound<'_, PyAny>, reason: PyErr) -> PyErr {
    let py = data.py();
    if !reason.is_instance_of::<PyValueError>(py) && !reason.is_instance_of::<PyTypeError>(py) {
        return reason;
    }
    let make = || {
        let kind = data.get_type().fully_qualified_name()?;
        let message = format!(
            "an object of type {kind} exports no record batches ({}); pass a table or a frame of columns",
            reason.value(py)
        );
        exception_of(py, "IngressTypeError", code(ErrorKind::InvalidApiCall), &message, &PyDict::new(py))
    };
    make().unwrap_or_else(|failed| failed)
}

/// The exception for Arrow data that breaks Arrow's own rules.
pub(crate) fn bad_arrow(py: Python<'_>, reason: &arrow_schema::ArrowError) -> PyErr {
    let message = format!("reading the frame failed: {reason}");
    exception(py, code(ErrorKind::BadDataFrame), &message, &PyDict::new(py)).unwrap_or_else(|failed| failed)
}

/// The member of `IngressErrorCode`.
pub(crate) fn code_of(py: Python<'_>, kind: ErrorKind) -> PyResult<Bound<'_, PyAny>> {
    py.import("questframe.exceptions")?.getattr("IngressErrorCode")?.getattr(code(kind))
}

/// An exception without details.
pub(crate) fn bare(py: Python<'_>, kind: ErrorKind, message: &str) -> PyErr {
    exception(py, code(kind), message, &PyDict::new(py)).unwrap_or_else(|failed| failed)
}

/// The exception for a client that was closed.
pub(crate) fn closed(py: Python<'_>) -> PyErr {
    let message = "the client is closed; make another with questframe.connect()";
    exception(py, code(ErrorKind::InvalidApiCall), message, &PyDict::new(py)).unwrap_or_else(|failed| failed)
}

fn delivery<'py>(py: Python<'py>, error: &Error) -> PyResult<Bound<'py, PyDict>> {
    let details = PyDict::new(py);
    details.set_item("table", error.table())?;
    details.set_item("acked", ranges(py, &error.delivery().acked)?)?;
    details.set_item("doubtful", ranges(py, &error.delivery().doubtful)?)?;
    details.set_item("unsent", ranges(py, &error.delivery().unsent)?)?;
    Ok(details)
}

/// The exception that ends a write which Python code or a signal stopped. Ctrl-C becomes `WriteInterrupted`, a
/// `KeyboardInterrupt` that knows what was stored; everything else goes on as it is, with an error that knows as its
/// cause.
pub(crate) fn stopped(py: Python<'_>, raised: PyErr, error: &Error) -> PyErr {
    if raised.is_instance_of::<PyKeyboardInterrupt>(py) {
        let make = || {
            let class = py.import("questframe.exceptions")?.getattr("WriteInterrupted")?;
            Ok::<_, PyErr>(PyErr::from_value(class.call((error.to_string(),), Some(&delivery(py, error)?))?))
        };
        return make().unwrap_or_else(|failed| failed);
    }
    if raised.cause(py).is_none() {
        // Not by `map`, which would come back here for what was raised while rows were read.
        raised.set_cause(py, Some(try_map(py, error).unwrap_or_else(|failed| failed)));
    }
    raised
}

fn try_map(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let details = delivery(py, error)?;
    details.set_item("column", error.column())?;
    details.set_item("row", error.row())?;
    details.set_item("value", error.value())?;
    details.set_item("server_message", error.server_message())?;
    details.set_item("error_id", error.error_id())?;
    let problems = error.problems().iter().map(ToString::to_string).collect::<Vec<_>>();
    details.set_item("problems", PyTuple::new(py, problems)?)?;
    exception(py, code(error.kind()), &error.to_string(), &details)
}

/// Says of an `IngressError` that it is about a frame of the stream that is written.
const OF_STREAM: &str = "_is_of_stream";

/// Whether an exception is about a frame of the stream that is written.
pub(crate) fn is_of_stream(raised: &Bound<'_, PyBaseException>) -> PyResult<bool> {
    Ok(raised.hasattr(OF_STREAM)? && raised.getattr(OF_STREAM)?.is_truthy()?)
}

/// The error as one about a frame of the stream that is written, if it is one of ours.
pub(crate) fn of_stream(py: Python<'_>, error: PyErr) -> PyErr {
    if error.value(py).hasattr(OF_STREAM).is_ok_and(|is_ours| is_ours) {
        // One that cannot be marked is told as what Python code raised.
        let _ = error.value(py).setattr(OF_STREAM, true);
    }
    error
}

/// What is wrong with a frame of a stream, found where Python's frames are read: that very exception, which knows what
/// was stored now.
fn own(py: Python<'_>, raised: &PyErr, error: &Error) -> Option<PyErr> {
    let value = raised.value(py);
    let known = || {
        if !is_of_stream(value)? {
            return Ok(false);
        }
        for (name, rows) in delivery(py, error)?.iter().filter(|(name, _)| !matches!(name.extract(), Ok("table"))) {
            value.setattr(name.cast::<PyString>()?, rows)?;
        }
        if let Some(table) = error.table() {
            value.call_method1("_in_table", (table,))?;
        }
        Ok::<_, PyErr>(true)
    };
    known().is_ok_and(|known| known).then(|| raised.clone_ref(py))
}

/// The exception for an error of the crate. What Python code raised while the frame was read is its cause; of Ctrl-C it
/// makes what a signal handler's would be, and what else ends a program, as `SystemExit` does, goes on.
pub(crate) fn map(py: Python<'_>, error: &Error) -> PyErr {
    let mut source = std::error::Error::source(error);
    while let Some(reason) = source {
        if let Some(raised) = reason.downcast_ref::<PyErr>() {
            if let Some(own) = own(py, raised, error) {
                return own;
            }
            // What ends a program is no failure of reading.
            if !raised.is_instance_of::<PyException>(py) {
                return stopped(py, raised.clone_ref(py), error);
            }
            let mapped = try_map(py, error).unwrap_or_else(|failed| failed);
            mapped.set_cause(py, Some(raised.clone_ref(py)));
            return mapped;
        }
        source = reason.source();
    }
    try_map(py, error).unwrap_or_else(|failed| failed)
}

/// The exception for a value of a frame that has no Arrow form.
pub(crate) fn bad_value(py: Python<'_>, column: &str, row: usize, value: &str, message: &str) -> PyErr {
    let make = || {
        let details = PyDict::new(py);
        details.set_item("column", column)?;
        details.set_item("row", row)?;
        details.set_item("value", value)?;
        let message = format!("column {column:?}, row {row} (value {value}): {message}");
        exception(py, code(ErrorKind::BadDataFrame), &message, &details)
    };
    make().unwrap_or_else(|failed| failed)
}

/// The exception for a frame that is no part of a stream.
pub(crate) fn bad_frame(py: Python<'_>, message: &str) -> PyErr {
    bare(py, ErrorKind::BadDataFrame, message)
}

/// The exception for a column that has no Arrow form.
pub(crate) fn bad_column(py: Python<'_>, column: &str, message: &str) -> PyErr {
    let make = || {
        let details = PyDict::new(py);
        details.set_item("column", column)?;
        exception(py, code(ErrorKind::BadDataFrame), &format!("column {column:?}: {message}"), &details)
    };
    make().unwrap_or_else(|failed| failed)
}
