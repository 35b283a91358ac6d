//! `RowBuffer`, the base of `questframe.ingress.Buffer`.

use std::sync::atomic::AtomicBool;

use pyo3::exceptions::{PyMemoryError, PyOverflowError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use questframe::{ErrorKind, FrameTables, ProtocolVersion, RowBuffer};

use super::guarded::{Guard, Guarded};
use super::values::{self, Values, additional, size};
use crate::client::take;
use crate::error::{bare, map};
use crate::options;

/// A number of bytes, as an argument: what is wrong with it is told in its turn.
struct Size(PyResult<usize>);

impl FromPyObject<'_, '_> for Size {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        Ok(Self(size("size", &value)))
    }
}

/// Rows and frames as lines.
#[derive(Debug)]
#[pyclass(frozen, subclass, name = "RowBuffer", module = "questframe._questframe")]
pub(crate) struct Buffer {
    pub(super) lines: Guarded<RowBuffer>,
    init_buf_size: usize,
    has_warned: AtomicBool,
}

impl Buffer {
    fn lock(&self, py: Python<'_>) -> PyResult<Guard<'_, RowBuffer>> {
        self.lines.lock(py)
    }
}

/// A frame's tables in the form in which Python hands them over.
pub(super) type PyTables = (Vec<u32>, Vec<String>);

pub(super) fn tables(given: Option<PyTables>) -> Option<FrameTables> {
    given.map(|(codes, names)| FrameTables { codes, names })
}

#[pymethods]
impl Buffer {
    #[new]
    #[pyo3(
        signature = (protocol_version, init_buf_size=Size(Ok(65536)), max_name_len=Size(Ok(127))),
        text_signature = "(protocol_version, init_buf_size=65536, max_name_len=127)"
    )]
    fn new(
        py: Python<'_>,
        protocol_version: &Bound<'_, PyAny>,
        init_buf_size: Size,
        max_name_len: Size,
    ) -> PyResult<Self> {
        let number = size("protocol_version", protocol_version).or_else(|error| {
            // A number is a wrong version, however large.
            if error.is_instance_of::<PyOverflowError>(py) { Ok(usize::MAX) } else { Err(error) }
        })?;
        let version = ProtocolVersion::from_number(number as u64).ok_or_else(|| {
            bare(py, ErrorKind::ProtocolVersionError, "Invalid protocol version. Supported versions are 1-3.")
        })?;
        let (init_buf_size, max_name_len) = (init_buf_size.0?, max_name_len.0?);
        Ok(Self {
            lines: Guarded::new(RowBuffer::new(version, max_name_len, init_buf_size)),
            init_buf_size,
            has_warned: AtomicBool::new(false),
        })
    }

    /// Bytes of room that it began with.
    #[getter]
    fn init_buf_size(&self) -> usize {
        self.init_buf_size
    }

    /// Bytes that names of tables and columns may have.
    #[getter]
    fn max_name_len(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.lock(py)?.max_name_len())
    }

    /// Make room for so many more bytes.
    fn reserve(&self, additional: &Bound<'_, PyAny>) -> PyResult<()> {
        let bytes = self::additional(additional)?;
        let reserved = self.lock(additional.py())?.reserve(bytes);
        reserved.map_err(|_| PyMemoryError::new_err(format!("there is no memory for {bytes} bytes more")))
    }

    /// Bytes that it holds before it grows.
    fn capacity(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.lock(py)?.capacity())
    }

    /// Forget all rows.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.lock(py)?.clear();
        Ok(())
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.lock(py)?.as_bytes().len())
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.lock(py)?.as_bytes()))
    }

    /// Append a row; one that holds nothing is left out.
    ///
    /// Args:
    ///     table_name: the table.
    ///     symbols: strings by column; None is left out.
    ///     columns: bool, int, float, str, datetime, TimestampMicros, TimestampNanos, NumPy arrays of float64, Decimal by
    ///         column; None is left out.
    ///     at: the designated timestamp: an instant, a datetime (a naive one is local time), or ServerTimestamp.
    ///
    /// Returns:
    ///     The buffer itself.
    ///
    /// Raises:
    ///     IngressError: the row is not written, and the buffer is as it was before.
    ///     TypeError: a value of another type.
    ///     OverflowError: an integer that does not fit 64 bits.
    #[pyo3(signature = (table_name, *, symbols=None, columns=None, at))]
    fn row<'py>(
        slf: Bound<'py, Self>,
        table_name: &Bound<'py, PyAny>,
        symbols: Option<&Bound<'py, PyDict>>,
        columns: Option<&Bound<'py, PyDict>>,
        at: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        let table = values::table_name(table_name)?;
        values::write(
            &mut *slf.get().lock(slf.py())?,
            table,
            &Values { has_warned: &slf.get().has_warned, symbols, columns, at },
        )?;
        Ok(slf)
    }

    /// The protocol version, which the official class does not tell.
    #[getter]
    fn _version(&self, py: Python<'_>) -> PyResult<u8> {
        Ok(self.lock(py)?.version().number())
    }

    /// Appends a prepared frame.
    fn _frame(&self, data: &Bound<'_, PyAny>, options: &Bound<'_, PyDict>, tables: Option<PyTables>) -> PyResult<()> {
        let py = data.py();
        let options = options::parse(options)?;
        let source = take(data, false)?.into_source();
        let tables = self::tables(tables);
        let mut lines = self.lock(py)?;
        let lines: &mut RowBuffer = &mut lines;
        py.detach(|| lines.frame_with_cells(source, &options, tables.as_ref(), None)).map_err(|error| map(py, &error))
    }

    /// What `pickle` would need: there is none, as of the official class.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let _ = py;
        Err(pyo3::exceptions::PyTypeError::new_err("a Buffer cannot be pickled"))
    }
}
