//! Columns collected one by one from memory that is not Arrow: NumPy buffers and lists of Python objects.
//!
//! [`Columns`] is the frame under construction, which `frame` makes batches of. Memory that is read in place is `memory`'s business,
//! and `plain`'s where it is NumPy's; cells that are Python objects are told apart in `objects`, which leaves their larger kinds to `decimals`, `nested` and `times`.

mod arrays;
mod decimals;
mod frame;
mod lists;
mod memory;
mod nested;
mod objects;
mod plain;
mod times;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, LargeBinaryArray, RecordBatch, StringArray, StructArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use numpy::PyArray1;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyList};
use pyo3_arrow::PyChunkedArray;
use pyo3_arrow::error::PyArrowResult;
use pyo3_arrow::ffi::{ArrayIterator, to_stream_pycapsule};
use questframe::{Frame, coded};

use arrays::ArrayCells;
pub(crate) use arrays::are_arrays;
pub(crate) use frame::CollectedFrame;
use lists::ListCells;
use memory::{Memory, primitive, validity};

/// The Arrow type of a NumPy type string without its byte order, such as `f8`.
fn number_type(typestr: &str) -> PyResult<DataType> {
    Ok(match typestr {
        "i1" => DataType::Int8,
        "i2" => DataType::Int16,
        "i4" => DataType::Int32,
        "i8" => DataType::Int64,
        "u1" => DataType::UInt8,
        "u2" => DataType::UInt16,
        "u4" => DataType::UInt32,
        "u8" => DataType::UInt64,
        "f2" => DataType::Float16,
        "f4" => DataType::Float32,
        "f8" => DataType::Float64,
        other => return Err(PyTypeError::new_err(format!("NumPy type {other:?} has no Arrow form"))),
    })
}

fn unit(name: &str) -> PyResult<TimeUnit> {
    Ok(match name {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        other => return Err(PyTypeError::new_err(format!("time unit {other:?} has no Arrow form"))),
    })
}

/// A frame under construction, column by column.
#[pyclass(module = "questframe._questframe")]
#[derive(Debug, Default)]
pub(crate) struct Columns(CollectedFrame);

impl Columns {
    fn push(&mut self, name: &str, chunks: Vec<ArrayRef>) -> PyResult<()> {
        self.0.push(name, chunks, HashMap::new())
    }

    /// What has been collected.
    pub(crate) fn frame(&self) -> &CollectedFrame {
        &self.0
    }

    /// The frame as batches that end where any column's chunk ends: nothing is copied but Python objects.
    pub(crate) fn batches(&self) -> PyResult<(Vec<RecordBatch>, SchemaRef)> {
        let batches = self.0.batches(None).collect::<Result<Vec<_>, _>>();
        Ok((batches.map_err(|error| PyValueError::new_err(error.to_string()))?, self.0.schema()))
    }
}

#[pymethods]
impl Columns {
    #[new]
    fn new(rows: usize) -> Self {
        Self(CollectedFrame { rows, ..CollectedFrame::default() })
    }

    /// Numbers, read in place; `mask` is true where they are missing.
    #[pyo3(signature = (name, typestr, values, mask=None))]
    fn numbers(&mut self, name: &str, typestr: &str, values: Memory, mask: Option<Memory>) -> PyResult<()> {
        let items = values.items();
        let array = primitive(number_type(typestr)?, items, values.into_buffer()?, validity(mask)?)?;
        self.push(name, vec![array])
    }

    /// Booleans, one byte each.
    #[pyo3(signature = (name, values, mask=None))]
    fn booleans(&mut self, name: &str, values: Memory, mask: Option<Memory>) -> PyResult<()> {
        let values = values.into_buffer()?;
        let bits = BooleanBuffer::collect_bool(values.len(), |row| values[row] != 0);
        self.push(name, vec![Arc::new(BooleanArray::new(bits, validity(mask)?))])
    }

    /// 64-bit instants or durations, read in place; the least value is NaT.
    #[pyo3(signature = (name, kind, time_unit, zone, values))]
    fn times(&mut self, name: &str, kind: &str, time_unit: &str, zone: Option<&str>, values: Memory) -> PyResult<()> {
        let items = values.items();
        let values = values.into_buffer()?;
        let instants = values.typed_data::<i64>();
        let nulls = instants
            .contains(&i64::MIN)
            .then(|| NullBuffer::new(BooleanBuffer::collect_bool(items, |row| instants[row] != i64::MIN)));
        let data_type = match kind {
            "M" => DataType::Timestamp(unit(time_unit)?, zone.map(Into::into)),
            _ => DataType::Duration(unit(time_unit)?),
        };
        self.push(name, vec![primitive(data_type, items, values, nulls)?])
    }

    /// Codes into `categories`, read in place; -1 is missing.
    fn categories(&mut self, name: &str, typestr: &str, codes: Memory, categories: Vec<String>) -> PyResult<()> {
        let items = codes.items();
        let codes = codes.into_buffer()?;
        // Without a sign all that is no code is beyond the values, and is found with those that are too large.
        let unsigned = number_type(&typestr.replace('i', "u"))?;
        let values: ArrayRef = Arc::new(StringArray::from_iter_values(&categories));
        let array = coded(&primitive(unsigned.clone(), items, codes.clone(), None)?, &values).or_else(|_| {
            let present =
                |is_code: &dyn Fn(usize) -> bool| NullBuffer::new(BooleanBuffer::collect_bool(items, is_code));
            let nulls = match unsigned {
                DataType::UInt8 => present(&|row| codes.typed_data::<i8>()[row] >= 0),
                DataType::UInt16 => present(&|row| codes.typed_data::<i16>()[row] >= 0),
                DataType::UInt32 => present(&|row| codes.typed_data::<i32>()[row] >= 0),
                ref other => return Err(PyTypeError::new_err(format!("category codes of type {other}"))),
            };
            coded(&primitive(unsigned.clone(), items, codes.clone(), Some(nulls))?, &values)
                .map_err(|error| PyValueError::new_err(error.to_string()))
        })?;
        self.push(name, vec![array])
    }

    /// A column that exports itself as Arrow, in one piece or several.
    fn arrow(&mut self, name: &str, column: PyChunkedArray) -> PyResult<()> {
        let (mut chunks, field) = column.into_inner();
        if chunks.is_empty() {
            chunks.push(arrow_array::new_empty_array(field.data_type()));
        }
        // Among it the names of extension types.
        self.0.push(name, chunks, field.metadata().clone())
    }

    /// Python objects, and None or NaN or NA where missing; what they may be is told by [`objects`].
    fn objects(&mut self, py: Python<'_>, name: &str, cells: &Bound<'_, PyList>) -> PyResult<()> {
        let (array, metadata) = objects::column(py, name, cells)?;
        self.0.push(name, vec![array], metadata)
    }

    /// Decimals in wire form, for the drop-in alone.
    fn decimals(&mut self, name: &str, cells: Vec<Option<Bound<'_, PyBytes>>>) -> PyResult<()> {
        let cells = LargeBinaryArray::from_iter(cells.iter().map(|cell| cell.as_ref().map(|cell| cell.as_bytes())));
        self.0.push(name, vec![Arc::new(cells)], cells_of("decimals"))
    }

    /// NumPy arrays, and what may be missing among them, for the drop-in alone: looked at and read while the frame is.
    fn arrays(&mut self, name: &str, cells: &Bound<'_, PyArray1<Py<PyAny>>>) -> PyResult<()> {
        self.0.push_objects(cells.py(), name, Arc::new(ArrayCells::new(cells)), true, cells_of("arrays"))
    }

    /// NumPy arrays of float64 in C order with equally many dimensions, read while the frame is; false, and nothing is
    /// added, if there is another object among the cells but None, or nothing else.
    fn lists(&mut self, name: &str, cells: &Bound<'_, PyArray1<Py<PyAny>>>) -> PyResult<bool> {
        let Some((lists, has_nulls)) = ListCells::new(cells)? else { return Ok(false) };
        self.0.push_objects(cells.py(), name, Arc::new(lists), has_nulls, HashMap::new())?;
        Ok(true)
    }

    /// Marks the last column as the frame's index: never written, but a candidate for `at`.
    fn mark_index(&mut self) {
        if let Some(field) = self.0.fields.pop() {
            let mut metadata = field.metadata().clone();
            metadata.insert("questframe:index".to_owned(), "true".to_owned());
            self.0.fields.push(field.with_metadata(metadata));
        }
    }

    /// Names the frame's index, which is not among the columns: whoever plans for the frame tells that it is not written.
    fn name_index(&mut self, names: String) {
        self.0.metadata.insert("questframe:index_names".to_owned(), names);
    }

    /// The frame for whoever reads Arrow: an Arrow C stream of its batches.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyArrowResult<Bound<'py, PyCapsule>> {
        let (batches, schema) = self.batches()?;
        stream_of(py, batches, &schema, requested_schema)
    }
}

/// The metadata of a column of cells in wire form.
fn cells_of(kind: &str) -> HashMap<String, String> {
    HashMap::from([("questframe.cells".to_owned(), kind.to_owned())])
}

/// Batches for whoever reads Arrow: an Arrow C stream of them.
pub(crate) fn stream_of<'py>(
    py: Python<'py>,
    batches: Vec<RecordBatch>,
    schema: &Schema,
    requested_schema: Option<Bound<'py, PyCapsule>>,
) -> PyArrowResult<Bound<'py, PyCapsule>> {
    let field = Field::new_struct("", schema.fields().clone(), false);
    let arrays = batches.into_iter().map(|batch| Ok(Arc::new(StructArray::from(batch)) as ArrayRef));
    to_stream_pycapsule(py, Box::new(ArrayIterator::new(arrays, field.into())), requested_schema)
}
