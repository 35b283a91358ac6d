//! Reports, plans and server facts as Python objects. Read-only; their docstrings are in the stubs.

use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict};
use pyo3_arrow::error::PyArrowResult;

use crate::columns::stream_of;
use crate::pickle::{self, Reduced};

#[pyclass(frozen, module = "questframe")]
#[derive(Clone, Debug)]
pub(crate) struct ColumnReport(pub(crate) questframe::ColumnReport);

#[pymethods]
impl ColumnReport {
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }
    #[getter]
    fn questdb_type(&self) -> &str {
        &self.0.questdb_type
    }
    #[getter]
    fn role(&self) -> &str {
        self.0.role
    }
    #[getter]
    fn nulls(&self) -> u64 {
        self.0.nulls
    }
    #[getter]
    fn read_null(&self) -> u64 {
        self.0.read_null
    }
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        pickle::reduced(slf, pickle::column_state(slf.py(), &slf.get().0)?)
    }
    #[staticmethod]
    fn _of(state: &Bound<'_, PyDict>) -> PyResult<Self> {
        pickle::column_of(state).map(Self)
    }
    fn __repr__(&self) -> String {
        let questframe::ColumnReport { name, questdb_type, role, nulls, read_null } = &self.0;
        format!(
            "ColumnReport(name={name:?}, questdb_type={questdb_type:?}, role={role:?}, nulls={nulls}, \
             read_null={read_null})"
        )
    }
}

#[pyclass(frozen, module = "questframe")]
#[derive(Debug)]
pub(crate) struct WriteReport(pub(crate) questframe::WriteReport);

#[pymethods]
impl WriteReport {
    #[getter]
    fn table(&self) -> &str {
        &self.0.table
    }
    #[getter]
    fn at(&self) -> Option<&str> {
        self.0.at.as_deref()
    }
    #[getter]
    fn rows(&self) -> u64 {
        self.0.rows
    }
    #[getter]
    fn skipped_rows(&self) -> u64 {
        self.0.skipped_rows
    }
    #[getter]
    fn bytes(&self) -> u64 {
        self.0.bytes
    }
    #[getter]
    fn requests(&self) -> u64 {
        self.0.requests
    }
    #[getter]
    fn retries(&self) -> u64 {
        self.0.retries
    }
    #[getter]
    fn retries_in_doubt(&self) -> u64 {
        self.0.retries_in_doubt
    }
    #[getter]
    fn rows_spooled(&self) -> u64 {
        self.0.rows_spooled
    }
    #[getter]
    fn rejected(&self) -> Option<Rejected> {
        self.0.rejected.clone().map(Rejected)
    }
    #[getter]
    fn in_flight(&self) -> usize {
        self.0.in_flight
    }
    #[getter]
    fn seconds(&self) -> f64 {
        self.0.elapsed.as_secs_f64()
    }
    #[getter]
    fn rows_per_second(&self) -> f64 {
        self.0.rows_per_second()
    }
    #[getter]
    fn bytes_per_second(&self) -> f64 {
        self.0.bytes_per_second()
    }
    #[getter]
    fn protocol_version(&self) -> u8 {
        self.0.protocol_version.number()
    }
    #[getter]
    fn created(&self) -> bool {
        self.0.created
    }
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.0.notes.clone()
    }
    #[getter]
    fn columns(&self) -> Vec<ColumnReport> {
        self.0.columns.iter().cloned().map(ColumnReport).collect()
    }
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        pickle::reduced(slf, pickle::report_state(slf.py(), &slf.get().0)?)
    }
    #[staticmethod]
    fn _of(state: &Bound<'_, PyDict>) -> PyResult<Self> {
        pickle::report_of(state).map(Self)
    }
    fn __repr__(&self) -> String {
        format!("WriteReport({})", self.0)
    }
    fn _repr_html_(&self) -> String {
        let mut html = format!(
            "<p>{}</p><table><tr><th>column</th><th>role</th><th>QuestDB type</th><th>nulls</th><th>read NULL</th></tr>",
            escape(&self.0.to_string())
        );
        for column in &self.0.columns {
            html.push_str(&format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&column.name),
                column.role,
                escape(&column.questdb_type),
                column.nulls,
                column.read_null
            ));
        }
        html.push_str("</table>");
        for note in &self.0.notes {
            html.push_str(&format!("<p>{}</p>", escape(note)));
        }
        html
    }
}

#[pyclass(frozen, module = "questframe.spool")]
#[derive(Debug)]
pub(crate) struct DrainReport(pub(crate) questframe::DrainReport);

#[pymethods]
impl DrainReport {
    #[getter]
    fn segments(&self) -> u64 {
        self.0.segments
    }
    #[getter]
    fn rows(&self) -> u64 {
        self.0.rows
    }
    #[getter]
    fn bytes(&self) -> u64 {
        self.0.bytes
    }
    #[getter]
    fn rejected(&self) -> Vec<PathBuf> {
        self.0.rejected.clone()
    }
    #[getter]
    fn segments_waiting(&self) -> u64 {
        self.0.segments_waiting
    }
    #[getter]
    fn bytes_waiting(&self) -> u64 {
        self.0.bytes_waiting
    }
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        pickle::reduced(slf, pickle::drain_state(slf.py(), &slf.get().0)?)
    }
    #[staticmethod]
    fn _of(state: &Bound<'_, PyDict>) -> PyResult<Self> {
        pickle::drain_of(state).map(Self)
    }
    fn __repr__(&self) -> String {
        let questframe::DrainReport { segments, rows, rejected, segments_waiting, .. } = &self.0;
        let rejected = rejected.len();
        format!("DrainReport({rows} rows in {segments} segments sent, {rejected} rejected, {segments_waiting} waiting)")
    }
}

/// Rows that were set aside, as an Arrow table.
#[pyclass(frozen, module = "questframe")]
#[derive(Debug)]
pub(crate) struct Rejected(pub(crate) RecordBatch);

#[pymethods]
impl Rejected {
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        stream_of(py, vec![self.0.clone()], &self.0.schema(), requested_schema)
    }
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py>> {
        pickle::reduced(slf, pickle::rejected_state(slf)?)
    }
    #[staticmethod]
    fn _of(state: &Bound<'_, PyDict>) -> PyResult<Self> {
        pickle::rejected_of(state).map(Self)
    }
    fn __len__(&self) -> usize {
        self.0.num_rows()
    }
    #[getter]
    fn rows(&self) -> Vec<u64> {
        let column = self.0.num_columns().checked_sub(2).map(|index| self.0.column(index));
        column
            .and_then(|column| column.as_primitive_opt::<UInt64Type>())
            .map_or_else(Vec::new, |rows| rows.values().to_vec())
    }
    #[getter]
    pub(crate) fn reasons(&self) -> Vec<String> {
        let column = self.0.num_columns().checked_sub(1).map(|index| self.0.column(index));
        let texts = column.and_then(|column| column.as_string_opt::<i32>());
        texts.into_iter().flatten().map(|text| text.unwrap_or_default().to_owned()).collect()
    }
    fn __repr__(&self) -> String {
        let (rows, reasons) = (self.rows(), self.reasons());
        let first =
            rows.first().zip(reasons.first()).map_or_else(String::new, |(row, why)| format!("; row {row}: {why}"));
        format!("Rejected({} row{}{first})", rows.len(), if rows.len() == 1 { "" } else { "s" })
    }
}

/// Text as HTML shows it; names are the user's and may hold anything.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[pyclass(frozen, module = "questframe")]
#[derive(Clone, Debug)]
pub(crate) struct PlannedColumn(questframe::PlannedColumn);

#[pymethods]
impl PlannedColumn {
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }
    #[getter]
    fn arrow_type(&self) -> &str {
        &self.0.arrow_type
    }
    #[getter]
    fn role(&self) -> &str {
        self.0.role
    }
    #[getter]
    fn wire(&self) -> &str {
        &self.0.wire
    }
    #[getter]
    fn questdb_type(&self) -> &str {
        &self.0.questdb_type
    }
    #[getter]
    fn state(&self) -> &str {
        self.0.state
    }
    #[getter]
    fn nulls(&self) -> &str {
        &self.0.nulls
    }
    #[getter]
    fn note(&self) -> &str {
        &self.0.note
    }
    fn __repr__(&self) -> String {
        let column = &self.0;
        format!(
            "PlannedColumn(name={:?}, arrow_type={:?}, role={:?}, wire={:?}, questdb_type={:?}, state={:?}, nulls={:?}, \
             note={:?})",
            column.name,
            column.arrow_type,
            column.role,
            column.wire,
            column.questdb_type,
            column.state,
            column.nulls,
            column.note
        )
    }
}

#[pyclass(frozen, module = "questframe")]
#[derive(Debug)]
pub(crate) struct Plan(pub(crate) questframe::Plan);

#[pymethods]
impl Plan {
    #[getter]
    fn table(&self) -> &str {
        self.0.table()
    }
    #[getter]
    fn at(&self) -> Option<&str> {
        self.0.at()
    }
    #[getter]
    fn protocol_version(&self) -> u8 {
        self.0.protocol_version().number()
    }
    #[getter]
    fn statements(&self) -> Vec<String> {
        self.0.statements().to_vec()
    }
    #[getter]
    fn columns(&self) -> Vec<PlannedColumn> {
        self.0.columns().into_iter().map(PlannedColumn).collect()
    }
    fn __repr__(&self) -> String {
        self.0.to_string()
    }
    fn _repr_html_(&self) -> String {
        format!("<pre>{}</pre>", escape(&self.0.to_string()))
    }
}

#[pyclass(frozen, module = "questframe")]
#[derive(Debug)]
pub(crate) struct ServerInfo(pub(crate) questframe::ServerInfo);

#[pymethods]
impl ServerInfo {
    #[getter]
    fn release(&self) -> Option<&str> {
        self.0.release.as_deref()
    }
    #[getter]
    fn protocol_versions(&self) -> Vec<u64> {
        self.0.protocol_versions.clone()
    }
    #[getter]
    fn max_name_len(&self) -> Option<usize> {
        self.0.max_name_len
    }
    fn __repr__(&self) -> String {
        format!(
            "ServerInfo(release={}, protocol_versions={:?}, max_name_len={})",
            self.0.release.as_ref().map_or_else(|| "None".to_owned(), |release| format!("{release:?}")),
            self.0.protocol_versions,
            self.0.max_name_len.map_or_else(|| "None".to_owned(), |len| len.to_string()),
        )
    }
}
