//! Columns collected one by one from memory that is not Arrow: NumPy buffers and lists of Python objects.
//!
//! Why it is delicate: NumPy's memory is read in place. `_pandas.py` hands over the address and length of arrays it
//! has made contiguous, aligned and of native byte order; each buffer keeps a reference to its array, so the memory
//! outlives the record batches. As with every reader of NumPy memory, another thread must not write to it meanwhile.

use std::ptr::NonNull;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{Array, ArrayRef, BooleanArray, NullArray, RecordBatch, RecordBatchOptions, StringArray, make_array};
use arrow_buffer::{Buffer, MutableBuffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDate, PyDateTime, PyFloat, PyInt, PyList, PyString};
use pyo3_arrow::PyChunkedArray;

use crate::error::{bad_column, bad_value};

/// Keeps a NumPy array alive while its memory is in use.
struct Owner(#[expect(dead_code, reason = "held, never read")] Py<PyAny>);

impl std::panic::RefUnwindSafe for Owner {}

/// A contiguous, aligned NumPy buffer of native byte order: address, items, bytes of an item, and the array itself.
#[derive(FromPyObject)]
pub(crate) struct Memory(usize, usize, usize, Py<PyAny>);

impl Memory {
    fn items(&self) -> usize {
        self.1
    }

    fn into_buffer(self) -> PyResult<Buffer> {
        let Self(address, items, item_size, owner) = self;
        let bytes = items
            .checked_mul(item_size)
            .ok_or_else(|| PyValueError::new_err("an array larger than the address space"))?;
        let Some(address) = NonNull::new(address as *mut u8).filter(|_| bytes > 0) else {
            // Empty, and aligned for any type.
            return Ok(MutableBuffer::new(0).into());
        };
        // SAFETY: `_pandas.py` took address and length from `__array_interface__` of `owner`, a C-contiguous array of
        // `items` items, and the buffer holds a reference to it for as long as it lives. arrow only reads it.
        Ok(unsafe { Buffer::from_custom_allocation(address, bytes, Arc::new(Owner(owner))) })
    }
}

/// A mask of NumPy booleans, true where the value is missing, as validity.
fn validity(mask: Option<Memory>) -> PyResult<Option<NullBuffer>> {
    let Some(mask) = mask else { return Ok(None) };
    let missing = mask.into_buffer()?;
    let nulls: NullBuffer = missing.as_slice().iter().map(|missing| *missing == 0).collect::<Vec<bool>>().into();
    Ok((nulls.null_count() > 0).then_some(nulls))
}

fn primitive(data_type: DataType, items: usize, values: Buffer, nulls: Option<NullBuffer>) -> PyResult<ArrayRef> {
    let data = ArrayData::builder(data_type).len(items).add_buffer(values).nulls(nulls).build();
    Ok(make_array(data.map_err(|error| PyValueError::new_err(error.to_string()))?))
}

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
pub(crate) struct Columns {
    rows: usize,
    fields: Vec<Field>,
    /// The chunks of each column.
    columns: Vec<Vec<ArrayRef>>,
}

impl Columns {
    fn push(&mut self, name: &str, chunks: Vec<ArrayRef>) -> PyResult<()> {
        let rows: usize = chunks.iter().map(|chunk| chunk.len()).sum();
        if rows != self.rows {
            return Err(PyValueError::new_err(format!("column {name:?} has {rows} rows, the frame {}", self.rows)));
        }
        let data_type = chunks.first().map_or(DataType::Null, |chunk| chunk.data_type().clone());
        let nullable = chunks.iter().any(|chunk| chunk.logical_null_count() > 0);
        self.fields.push(Field::new(name, data_type, nullable));
        self.columns.push(chunks);
        Ok(())
    }

    /// The frame as batches that end where any column's chunk ends: nothing is copied.
    pub(crate) fn batches(&self) -> PyResult<(Vec<RecordBatch>, SchemaRef)> {
        let schema: SchemaRef = Arc::new(Schema::new(self.fields.clone()));
        let mut ends: Vec<usize> = self
            .columns
            .iter()
            .flat_map(|chunks| {
                chunks.iter().scan(0, |end, chunk| {
                    *end += chunk.len();
                    Some(*end)
                })
            })
            .collect();
        ends.push(self.rows);
        ends.sort_unstable();
        ends.dedup();
        let mut batches = Vec::with_capacity(ends.len());
        // Per column: its current chunk and where that starts in the frame.
        let mut places = vec![(0, 0); self.columns.len()];
        let mut start = 0;
        for end in ends.into_iter().filter(|end| *end > 0) {
            let mut arrays = Vec::with_capacity(self.columns.len());
            for (chunks, place) in self.columns.iter().zip(&mut places) {
                while start >= place.1 + chunks[place.0].len() {
                    place.1 += chunks[place.0].len();
                    place.0 += 1;
                }
                arrays.push(chunks[place.0].slice(start - place.1, end - start));
            }
            let options = RecordBatchOptions::new().with_row_count(Some(end - start));
            let batch = RecordBatch::try_new_with_options(schema.clone(), arrays, &options);
            batches.push(batch.map_err(|error| PyValueError::new_err(error.to_string()))?);
            start = end;
        }
        Ok((batches, schema))
    }
}

#[pymethods]
impl Columns {
    #[new]
    fn new(rows: usize) -> Self {
        Self { rows, ..Self::default() }
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
        let bits: Vec<bool> = values.as_slice().iter().map(|byte| *byte != 0).collect();
        self.push(name, vec![Arc::new(BooleanArray::new(bits.into(), validity(mask)?))])
    }

    /// 64-bit instants or durations, read in place; the least value is NaT.
    #[pyo3(signature = (name, kind, time_unit, zone, values))]
    fn times(&mut self, name: &str, kind: &str, time_unit: &str, zone: Option<&str>, values: Memory) -> PyResult<()> {
        let items = values.items();
        let values = values.into_buffer()?;
        let instants = values.typed_data::<i64>();
        let nulls = instants
            .contains(&i64::MIN)
            .then(|| NullBuffer::from(instants.iter().map(|instant| *instant != i64::MIN).collect::<Vec<bool>>()));
        let data_type = match kind {
            "M" => DataType::Timestamp(unit(time_unit)?, zone.map(Into::into)),
            _ => DataType::Duration(unit(time_unit)?),
        };
        self.push(name, vec![primitive(data_type, items, values, nulls)?])
    }

    /// Codes into `categories`, read in place; -1 is missing.
    fn categories(&mut self, name: &str, typestr: &str, codes: Memory, categories: Vec<String>) -> PyResult<()> {
        let items = codes.items();
        let keys = primitive(number_type(typestr)?, items, codes.into_buffer()?, None)?;
        let missing = |codes: &mut dyn Iterator<Item = bool>| NullBuffer::from(codes.collect::<Vec<bool>>());
        let data = keys.to_data();
        let buffer = &data.buffers()[0];
        let nulls = match keys.data_type() {
            DataType::Int8 => missing(&mut buffer.typed_data::<i8>().iter().map(|code| *code >= 0)),
            DataType::Int16 => missing(&mut buffer.typed_data::<i16>().iter().map(|code| *code >= 0)),
            DataType::Int32 => missing(&mut buffer.typed_data::<i32>().iter().map(|code| *code >= 0)),
            DataType::Int64 => missing(&mut buffer.typed_data::<i64>().iter().map(|code| *code >= 0)),
            other => return Err(PyTypeError::new_err(format!("category codes of type {other}"))),
        };
        let values = StringArray::from_iter_values(&categories);
        let data_type = DataType::Dictionary(Box::new(keys.data_type().clone()), Box::new(DataType::Utf8));
        let dictionary = ArrayData::builder(data_type)
            .len(items)
            .add_buffer(buffer.clone())
            .nulls((nulls.null_count() > 0).then_some(nulls))
            .add_child_data(values.into_data())
            .build()
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        self.push(name, vec![make_array(dictionary)])
    }

    /// A column that exports itself as Arrow, in one piece or several.
    fn arrow(&mut self, name: &str, column: PyChunkedArray) -> PyResult<()> {
        let (mut chunks, field) = column.into_inner();
        if chunks.is_empty() {
            chunks.push(arrow_array::new_empty_array(field.data_type()));
        }
        self.push(name, chunks)
    }

    /// Python objects: strings, booleans, integers, floats, dates or datetimes, and None or NaN or NA where missing.
    /// The first that is there decides for the column.
    fn objects(&mut self, py: Python<'_>, name: &str, cells: &Bound<'_, PyList>) -> PyResult<()> {
        let array = objects(py, name, cells)?;
        self.push(name, vec![array])
    }
}

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
        }
    }
}

fn kind_of(cell: &Bound<'_, PyAny>) -> PyResult<Option<Kind>> {
    Ok(Some(if cell.is_none() {
        Kind::Missing
    } else if cell.is_instance_of::<PyBool>() {
        Kind::Boolean
    } else if cell.is_instance_of::<PyString>() {
        Kind::String
    } else if cell.is_exact_instance_of::<PyInt>() {
        Kind::Integer
    } else if cell.is_instance_of::<PyFloat>() {
        if cell.extract::<f64>()?.is_nan() { Kind::Nan } else { Kind::Float }
    } else {
        match &*cell.get_type().name()?.to_string_lossy() {
            "NAType" | "NaTType" => Kind::Missing,
            _ if cell.is_instance_of::<PyDateTime>() => Kind::Instant,
            _ if cell.is_instance_of::<PyDate>() => Kind::Date,
            _ => return Ok(None),
        }
    }))
}

fn repr(cell: &Bound<'_, PyAny>) -> String {
    const SHOWN: usize = 60;
    let text = cell.repr().map(|text| text.to_string()).unwrap_or_default();
    if text.chars().count() > SHOWN { text.chars().take(SHOWN).chain("...".chars()).collect() } else { text }
}

fn objects(py: Python<'_>, name: &str, cells: &Bound<'_, PyList>) -> PyResult<ArrayRef> {
    let mut kinds = Vec::with_capacity(cells.len());
    let mut chosen = None;
    for (row, cell) in cells.iter().enumerate() {
        let Some(kind) = kind_of(&cell)? else {
            let advice = format!(
                "objects of type {} have no form in ILP; turn the column into strings or numbers",
                cell.get_type().fully_qualified_name()?
            );
            return Err(bad_value(py, name, row, &repr(&cell), &advice));
        };
        match chosen {
            _ if matches!(kind, Kind::Missing | Kind::Nan) => {}
            None => chosen = Some(kind),
            Some(first) if first != kind => {
                let message = format!(
                    "the column holds objects of type {} and {}; make them all one type, for instance with astype(str)",
                    first.name(),
                    kind.name()
                );
                return Err(bad_value(py, name, row, &repr(&cell), &message));
            }
            Some(_) => {}
        }
        kinds.push(kind);
    }
    let is_there = |kind| kind != Kind::Missing && (kind != Kind::Nan || chosen == Some(Kind::Float));
    let cells = cells.iter().zip(kinds).map(|(cell, kind)| is_there(kind).then_some(cell));
    Ok(match chosen {
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
                        bad_value(
                            py,
                            name,
                            row,
                            &repr(&cell),
                            "the string holds lone surrogates and is not valid Unicode; repair it",
                        )
                    })
                });
                builder.append_option(text.transpose()?);
            }
            Arc::new(builder.finish())
        }
        Some(Kind::Instant) => Arc::new(instants(py, cells, "_micros_of_datetime")?),
        Some(Kind::Date) => Arc::new(instants(py, cells, "_micros_of_date")?),
        Some(Kind::Missing | Kind::Nan) => return Err(bad_column(py, name, "all values are missing")),
    })
}

/// Instants in microseconds, converted by the function of this name in `questframe._pandas`.
fn instants<'py>(
    py: Python<'py>,
    cells: impl Iterator<Item = Option<Bound<'py, PyAny>>>,
    convert: &str,
) -> PyResult<arrow_array::TimestampMicrosecondArray> {
    let convert = py.import("questframe._pandas")?.getattr(convert)?;
    let mut builder = TimestampMicrosecondBuilder::new();
    for cell in cells {
        builder.append_option(cell.map(|cell| convert.call1((cell,))?.extract::<i64>()).transpose()?);
    }
    Ok(builder.finish())
}
