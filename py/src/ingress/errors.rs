//! Errors of rows and flushes, with the codes and words of the official client.

use pyo3::exceptions::PyUnicodeEncodeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use questframe::{Error, ErrorKind, RowError};

use crate::error::{bare, code_of, map};

pub(super) fn of_row(py: Python<'_>, error: &RowError) -> PyErr {
    bare(py, error.kind(), &error.to_string())
}

pub(super) fn bad_call(py: Python<'_>, message: &str) -> PyErr {
    bare(py, ErrorKind::InvalidApiCall, message)
}

/// Text as UTF-8.
///
/// # Errors
/// `InvalidUtf8` for lone surrogates.
pub(super) fn text<'t>(text: &'t Bound<'_, PyString>) -> PyResult<&'t str> {
    text.to_str().map_err(|error| invalid_utf8(text, error))
}

#[cold]
fn invalid_utf8(text: &Bound<'_, PyString>, error: PyErr) -> PyErr {
    let py = text.py();
    if !error.is_instance_of::<PyUnicodeEncodeError>(py) {
        return error;
    }
    let words = || {
        let value = error.value(py);
        let at: usize = value.getattr("start")?.extract()?;
        let point: u32 = py.import("builtins")?.call_method1("ord", (text.get_item(at)?,))?.extract()?;
        Ok::<_, PyErr>(format!(
            "Invalid codepoint 0x{point:x} in string {}: Cannot be encoded as UTF-8.",
            text.repr()?.to_cow()?
        ))
    };
    match words() {
        Ok(words) => bare(py, ErrorKind::InvalidUtf8, &words),
        Err(error) => error,
    }
}

/// The exception for a flush that failed. What the server said is in it, and `error.pending` is the caller's to set.
pub(super) fn of_flush(py: Python<'_>, error: &Error, hint: &str) -> PyErr {
    let kind = match (error.kind(), error.status()) {
        // The official client knows one status that means that ILP is not taken.
        (ErrorKind::HttpNotSupported, Some(405)) => ErrorKind::ServerFlushError,
        (ErrorKind::CouldNotResolveAddr, _) => ErrorKind::SocketError,
        (kind, _) => kind,
    };
    let mapped = map(py, error);
    let adapt = || {
        let value = mapped.value(py);
        value.setattr("_code", code_of(py, kind)?)?;
        let mut message = format!("Could not flush buffer: {error}");
        // In full, too: ours leaves out what says nothing to people, and programs may look for it.
        if let Some(said) = error.server_message().filter(|said| !message.contains(*said)) {
            message = format!("{message}: {said}");
        }
        message.push_str(hint);
        value.setattr("args", (message,))
    };
    match adapt() {
        Ok(()) => mapped,
        Err(failed) => failed,
    }
}
