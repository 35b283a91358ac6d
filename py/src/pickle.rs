//! Reports on their way to another process: what a worker of `multiprocessing` returns is pickled.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::Schema;
use pyo3::PyClass;
use pyo3::exceptions::{PyImportError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};
use pyo3_arrow::PyTable;
use questframe::{ColumnReport, DrainReport, ProtocolVersion, WriteReport};

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
    ($report:ty, $put:ident, $get:ident: $($field:ident),*) => {
        fn $put(report: &$report, state: &Bound<'_, PyDict>) -> PyResult<()> {
            $(state.set_item(stringify!($field), &report.$field)?;)*
            Ok(())
        }

        fn $get(report: &mut $report, state: &Bound<'_, PyDict>) -> PyResult<()> {
            $(report.$field = get(state, stringify!($field))?;)*
            Ok(())
        }
    };
}

fields!(
    WriteReport, put_fields, get_fields:
    at, rows, skipped_rows, bytes, requests, retries, retries_in_doubt, created, in_flight, rows_spooled, notes
);
fields!(
    DrainReport, put_drain_fields, get_drain_fields:
    segments, rows, bytes, rejected, segments_waiting, bytes_waiting
);

pub(crate) fn drain_state<'py>(py: Python<'py>, report: &DrainReport) -> PyResult<Bound<'py, PyDict>> {
    let state = PyDict::new(py);
    put_drain_fields(report, &state)?;
    Ok(state)
}

pub(crate) fn drain_of(state: &Bound<'_, PyDict>) -> PyResult<DrainReport> {
    let mut report = DrainReport::default();
    get_drain_fields(&mut report, state)?;
    Ok(report)
}

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
    let table = match py.import("pyarrow") {
        Ok(pyarrow) => pyarrow.call_method1("table", (rejected,))?,
        Err(_) => {
            let polars = py.import("polars").map_err(|_| {
                PyImportError::new_err(
                    "to pickle rows that were set aside takes pyarrow or polars; install one of them",
                )
            })?;
            // A column of nothing but nulls does not come back from Polars as it went.
            let text = PyDict::new(py);
            text.set_item(polars.getattr("Null")?, polars.getattr("String")?)?;
            polars.call_method1("DataFrame", (rejected,))?.call_method1("cast", (text,))?
        }
    };
    let state = PyDict::new(py);
    state.set_item("table", table)?;
    state.set_item("reasons", rejected.get().reasons())?;
    Ok(state)
}

pub(crate) fn rejected_of(state: &Bound<'_, PyDict>) -> PyResult<RecordBatch> {
    let (batches, schema) = get::<PyTable>(state, "table")?.into_inner();
    let batch = match <[RecordBatch; 1]>::try_from(batches) {
        Ok([batch]) => batch,
        Err(batches) if batches.is_empty() => return Ok(RecordBatch::new_empty(schema)),
        Err(_) => return Err(PyValueError::new_err("rows that were set aside are one record batch")),
    };
    // Polars has strings of another type.
    let reasons: ArrayRef = Arc::new(StringArray::from(get::<Vec<String>>(state, "reasons")?));
    let mut columns = batch.columns().to_vec();
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    if let (Some(column), Some(field)) = (columns.last_mut(), fields.last_mut()) {
        *field = Arc::new(field.as_ref().clone().with_data_type(reasons.data_type().clone()));
        *column = reasons;
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| PyValueError::new_err(error.to_string()))
}
