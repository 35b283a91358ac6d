//! Reports on their way to another process: what a worker of `multiprocessing` returns is pickled.

use std::time::Duration;

use arrow_array::RecordBatch;
use pyo3::PyClass;
use pyo3::exceptions::{PyImportError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use pyo3_arrow::PyTable;
use questframe::{ColumnReport, ProtocolVersion, WriteReport};

use crate::report::{self, Rejected};

/// What makes the object again, and what it makes it of.
pub(crate) type Reduced<'py> = (Bound<'py, PyAny>, (Bound<'py, PyType>,));

/// The class makes the object again of this state, by its `_of`, which is called by name: compiled static methods cannot
/// be pickled.
pub(crate) fn reduced<'py, T: PyClass>(object: &Bound<'py, T>, state: Bound<'py, PyDict>) -> PyResult<Reduced<'py>> {
    let make = object.py().import("operator")?.call_method1("methodcaller", ("_of", state))?;
    Ok((make, (object.as_any().get_type(),)))
}

fn get<'py, T>(state: &Bound<'py, PyDict>, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    let value =
        state.get_item(name)?.ok_or_else(|| PyValueError::new_err(format!("a pickled report without {name}")))?;
    value.extract().map_err(Into::into)
}

/// Fields that go and come as they are, each by its name.
macro_rules! fields {
    ($($field:ident),*) => {
        fn put_fields(report: &WriteReport, state: &Bound<'_, PyDict>) -> PyResult<()> {
            $(state.set_item(stringify!($field), &report.$field)?;)*
            Ok(())
        }

        fn get_fields(report: &mut WriteReport, state: &Bound<'_, PyDict>) -> PyResult<()> {
            $(report.$field = get(state, stringify!($field))?;)*
            Ok(())
        }
    };
}

fields!(at, rows, skipped_rows, bytes, requests, retries, retries_in_doubt, created, in_flight, rows_spooled, notes);

pub(crate) fn report_state<'py>(py: Python<'py>, report: &WriteReport) -> PyResult<Bound<'py, PyDict>> {
    let state = PyDict::new(py);
    state.set_item("table", &report.table)?;
    state.set_item("protocol_version", report.protocol_version.number())?;
    state.set_item("seconds", report.elapsed.as_secs_f64())?;
    put_fields(report, &state)?;
    let columns = report.columns.iter().map(|column| column_state(py, column)).collect::<PyResult<Vec<_>>>()?;
    state.set_item("columns", columns)?;
    state.set_item("rejected", report.rejected.clone().map(Rejected))?;
    Ok(state)
}

pub(crate) fn report_of(state: &Bound<'_, PyDict>) -> PyResult<WriteReport> {
    let version = ProtocolVersion::from_number(get::<u8>(state, "protocol_version")?.into());
    let version = version.ok_or_else(|| PyValueError::new_err("a pickled report of an unknown protocol version"))?;
    let mut report = WriteReport::empty(get(state, "table")?, version);
    report.elapsed = Duration::try_from_secs_f64(get(state, "seconds")?).unwrap_or_default();
    get_fields(&mut report, state)?;
    let columns: Vec<Bound<'_, PyDict>> = get(state, "columns")?;
    report.columns = columns.iter().map(column_of).collect::<PyResult<_>>()?;
    let rejected: Option<Bound<'_, report::Rejected>> = get(state, "rejected")?;
    report.rejected = rejected.map(|rejected| rejected.get().0.clone());
    Ok(report)
}

pub(crate) fn column_state<'py>(py: Python<'py>, column: &ColumnReport) -> PyResult<Bound<'py, PyDict>> {
    let state = PyDict::new(py);
    state.set_item("name", &column.name)?;
    state.set_item("questdb_type", &column.questdb_type)?;
    state.set_item("role", column.role)?;
    state.set_item("nulls", column.nulls)?;
    state.set_item("read_null", column.read_null)?;
    Ok(state)
}

pub(crate) fn column_of(state: &Bound<'_, PyDict>) -> PyResult<ColumnReport> {
    let role: String = get(state, "role")?;
    let known = ["symbol", "field", "designated timestamp", "skipped"];
    let role = known.into_iter().find(|known| *known == role);
    Ok(ColumnReport {
        name: get(state, "name")?,
        questdb_type: get(state, "questdb_type")?,
        role: role.ok_or_else(|| PyValueError::new_err("a pickled report of an unknown role"))?,
        nulls: get(state, "nulls")?,
        read_null: get(state, "read_null")?,
    })
}

/// Arrow data is pickled by whoever of those that can is there.
pub(crate) fn rejected_state<'py>(rejected: &Bound<'py, Rejected>) -> PyResult<Bound<'py, PyDict>> {
    let py = rejected.py();
    let table = match (py.import("pyarrow"), py.import("polars")) {
        (Ok(pyarrow), _) => pyarrow.call_method1("table", (rejected,))?,
        (_, Ok(polars)) => polars.call_method1("DataFrame", (rejected,))?,
        _ => return Err(PyImportError::new_err("to pickle rows that were set aside takes pyarrow or polars")),
    };
    let state = PyDict::new(py);
    state.set_item("table", table)?;
    Ok(state)
}

pub(crate) fn rejected_of(state: &Bound<'_, PyDict>) -> PyResult<RecordBatch> {
    let (batches, schema) = get::<PyTable>(state, "table")?.into_inner();
    match <[RecordBatch; 1]>::try_from(batches) {
        Ok([batch]) => Ok(batch),
        Err(batches) if batches.is_empty() => Ok(RecordBatch::new_empty(schema)),
        Err(_) => Err(PyValueError::new_err("rows that were set aside are one record batch")),
    }
}
