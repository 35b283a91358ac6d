//! Polars frames into QuestDB: `df.write_questdb(conf, &options)`, without copying the frame.
//!
//! A `&DataFrame` goes wherever this crate takes data: [`WriteQuestDb`], [`Client::write`], [`to_ilp`](crate::to_ilp).
//! Its chunks cross to arrow-rs through the C data interface, which hands over pointers. Copies are made, piece by
//! piece, of columns in very many small chunks, of constants, and of the codes of a categorical that has more
//! categories than rows. The frame stays as it is: it is never rechunked.
//!
//! Categoricals and enums are symbols unless [`WriteOptions::symbols`] says otherwise. A column without nulls is
//! declared so, and a column of type `Null` holds nothing and is skipped.
//!
//! ```
//! use polars::prelude::*;
//! use questframe::{ProtocolVersion, WriteOptions, to_ilp};
//!
//! let mut df = df!("price" => [2615.54, 2615.61], "ts" => [1_735_787_045_000_000_i64, 1_735_787_046_000_000])?;
//! df.try_apply("ts", |ts| ts.cast(&DataType::Datetime(TimeUnit::Microseconds, None)))?;
//!
//! let options = WriteOptions::table("trades").at("ts").protocol_version(ProtocolVersion::V1);
//! let lines = to_ilp(&df, &options)?;
//! assert_eq!(lines, b"trades price=2615.54 1735787045000000000\ntrades price=2615.61 1735787046000000000\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::borrow::Cow;
use std::collections::HashMap;
use std::mem::transmute;
use std::sync::Arc;

use ::polars::prelude as pl;
use arrow_array::ffi::{FFI_ArrowArray, from_ffi_and_data_type};
use arrow_array::{Array, ArrayRef, NullArray, RecordBatch, make_array};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use polars_arrow::array::Array as PolarsArray;
use polars_arrow::datatypes::{ArrowDataType, Field as PolarsField, IntegerType, TimeUnit as PolarsTimeUnit};
use polars_arrow::ffi::{ArrowArray, export_array_to_c};

use super::arrow::{Batches, Frame, IntoSource, Source};
use super::coded::{Dictionaries, coded, coded_batch, may_be_bare};
use crate::{Client, Result, WriteOptions, WriteReport};

/// Strings and categories in their newest form, which is the one that is not copied.
const LEVEL: pl::CompatLevel = pl::CompatLevel::newest();

/// Chunks smaller than this (rows, on average) are cheaper to copy together than to read one by one.
const SMALL: usize = 1024;

/// Rows of the pieces in which such columns, and constants, are read.
const PIECE: usize = 1 << 16;

/// The key under which Arrow fields name a type that Arrow itself does not have.
const EXTENSION_NAME: &str = "ARROW:extension:name";

/// Writing a frame into QuestDB in one call.
///
/// ```no_run
/// use polars::prelude::*;
/// use questframe::WriteOptions;
/// use questframe::polars::WriteQuestDb;
///
/// let mut df = df!("price" => [2615.54], "ts" => [1_735_787_045_000_000_i64])?;
/// df.try_apply("ts", |ts| ts.cast(&DataType::Datetime(TimeUnit::Microseconds, None)))?;
///
/// let report = df.write_questdb("http::addr=localhost:9000;", &WriteOptions::table("trades").at("ts"))?;
/// assert_eq!(report.rows, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait WriteQuestDb {
    /// Writes all rows and returns when the server has acknowledged them.
    ///
    /// Makes a [`Client`] for this one call, so that every call connects, asks the server for its protocol versions
    /// and looks the table up. Programs that write more than one frame keep a client and use
    /// [`write_questdb_with`](Self::write_questdb_with), or [`Client::write`], which is the same.
    ///
    /// # Errors
    /// As [`Client::from_conf`] and [`Client::write`].
    fn write_questdb(&self, conf: &str, options: &WriteOptions) -> Result<WriteReport> {
        self.write_questdb_with(&Client::from_conf(conf)?, options)
    }

    /// As [`write_questdb`](Self::write_questdb), through a client that is there already.
    ///
    /// # Errors
    /// As [`Client::write`].
    ///
    /// ```no_run
    /// # use polars::prelude::*;
    /// # use questframe::polars::WriteQuestDb;
    /// # use questframe::{At, Client, WriteOptions};
    /// # let frames = [df!("n" => [1, 2])?, df!("n" => [3])?];
    /// let client = Client::from_conf("http::addr=localhost:9000;")?;
    /// for df in &frames {
    ///     df.write_questdb_with(&client, &WriteOptions::table("numbers").at(At::Server))?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn write_questdb_with(&self, client: &Client, options: &WriteOptions) -> Result<WriteReport>;
}

impl WriteQuestDb for pl::DataFrame {
    fn write_questdb_with(&self, client: &Client, options: &WriteOptions) -> Result<WriteReport> {
        client.write(self, options)
    }
}

/// Marks `&polars::prelude::DataFrame` in [`IntoSource`].
///
/// The source tells the frame's Arrow schema, say for [`Client::plan`]:
///
/// ```
/// use polars::prelude::*;
/// use questframe::{At, IntoSource, WriteOptions};
///
/// let df = df!("price" => [Some(2615.54), None], "size" => [1_i64, 2])?;
/// let plan = questframe::plan(&(&df).into_source().schema(), &WriteOptions::table("trades").at(At::Server))?;
/// assert_eq!(plan.columns()[0].questdb_type, "DOUBLE");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ViaPolars;

impl<'a> IntoSource<'a, ViaPolars> for &'a pl::DataFrame {
    fn into_source(self) -> Source<'a> {
        Source::Frame(Box::new(PolarsFrame::new(self)))
    }
}

/// A frame as Arrow sees it. Batches end where a piece of any of their columns ends.
struct PolarsFrame {
    rows: usize,
    schema: SchemaRef,
    columns: Vec<Column>,
}

impl PolarsFrame {
    fn new(frame: &pl::DataFrame) -> Self {
        let columns: Vec<_> = frame.columns().iter().map(Column::new).collect();
        let fields: Vec<_> = columns.iter().map(|column| column.field.clone()).collect();
        Self { rows: frame.height(), schema: Arc::new(Schema::new(fields)), columns }
    }

    /// At the start of all columns; with `bare`, of codes alone where that is possible.
    fn cursors(&self, bare: bool) -> Vec<Cursor<'_>> {
        self.columns.iter().map(|column| Cursor::new(column, bare)).collect()
    }
}

impl Frame for PolarsFrame {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn rows(&self) -> u64 {
        self.rows as u64
    }

    fn batches(&self, columns: Option<&[usize]>) -> Batches<'_> {
        let (schema, cursors) = match columns {
            None => (self.schema.clone(), self.cursors(false)),
            Some(columns) => match self.schema.project(columns) {
                Ok(schema) => {
                    let chosen = columns.iter().filter_map(|index| self.columns.get(*index));
                    (Arc::new(schema), chosen.map(|column| Cursor::new(column, false)).collect())
                }
                Err(error) => return Box::new(std::iter::once(Err(error))),
            },
        };
        Box::new(PolarsBatches { schema, cursors, left: self.rows })
    }

    fn dictionaries(&self) -> Option<Arc<Dictionaries>> {
        let categories = self.columns.iter().enumerate().filter_map(|(index, column)| match &column.form {
            Form::Codes(categories) => Some((index, categories.clone())),
            _ => None,
        });
        let categories: Dictionaries = categories.collect();
        (!categories.is_empty()).then(|| Arc::new(categories))
    }

    fn coded_batches(&self) -> Batches<'_> {
        Box::new(PolarsBatches { schema: self.schema.clone(), cursors: self.cursors(true), left: self.rows })
    }
}

/// One reading of a frame.
struct PolarsBatches<'f> {
    schema: SchemaRef,
    cursors: Vec<Cursor<'f>>,
    /// Rows that have not been read.
    left: usize,
}

impl PolarsBatches<'_> {
    fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut rows = self.left;
        for cursor in &mut self.cursors {
            rows = rows.min(cursor.ready()?);
        }
        let arrays = self.cursors.iter_mut().map(|cursor| cursor.take(rows)).collect();
        coded_batch(self.schema.clone(), arrays, rows)
    }
}

impl Iterator for PolarsBatches<'_> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let batch = self.batch();
        // Nothing follows an error.
        self.left -= batch.as_ref().map_or(self.left, RecordBatch::num_rows);
        Some(batch)
    }
}

/// Where a reading stands in a column.
struct Cursor<'f> {
    column: &'f Column,
    next_piece: usize,
    piece: ArrayRef,
    /// Rows of `piece` that have been taken.
    taken: usize,
    /// Whether codes may stay alone.
    bare: bool,
}

impl<'f> Cursor<'f> {
    fn new(column: &'f Column, bare: bool) -> Self {
        Self { column, next_piece: 0, piece: Arc::new(NullArray::new(0)), taken: 0, bare }
    }

    /// How many rows can be taken at once: at least one. Goes to the next piece if this one is used up.
    fn ready(&mut self) -> Result<usize, ArrowError> {
        while self.taken == self.piece.len() {
            self.piece = self.column.piece(self.next_piece, self.bare)?;
            self.next_piece += 1;
            self.taken = 0;
        }
        Ok(self.piece.len() - self.taken)
    }

    /// Takes rows that are [`ready`](Self::ready).
    fn take(&mut self, rows: usize) -> ArrayRef {
        let array = self.piece.slice(self.taken, rows);
        self.taken += rows;
        array
    }
}

/// One column: its values, the pieces in which they are read, and what these become.
struct Column {
    field: Field,
    series: pl::Series,
    pieces: Pieces,
    form: Form,
}

/// The pieces in which a column is read.
#[derive(Clone, Copy)]
enum Pieces {
    /// The series' chunks.
    Chunks,
    /// Copies of [`PIECE`] rows, each of many small chunks.
    Copies,
    /// All values are the same, and the series holds some of them: it is read again and again.
    Constant,
}

/// What the chunks of a series become.
enum Form {
    /// An array without buffers; the one that polars exports cannot be imported.
    Nulls,
    /// An array of this type, on the same buffers.
    Same(PolarsField),
    /// A dictionary array. The chunks are codes, and all of them share these values.
    Codes(ArrayRef),
    /// An error: Arrow has no such type.
    Foreign,
}

impl Column {
    fn new(column: &pl::Column) -> Self {
        let (series, pieces) = match column {
            pl::Column::Scalar(scalar) if scalar.lazy_as_materialized_series().is_none() => {
                (scalar.as_n_values_series(PIECE), Pieces::Constant)
            }
            column => {
                let series = column.as_materialized_series().clone();
                let small = series.n_chunks() > 1 && series.len() / series.n_chunks() < SMALL;
                (series, if small { Pieces::Copies } else { Pieces::Chunks })
            }
        };
        let series = narrowed(series);
        let name = column.name().as_str();
        let dtype = series.dtype();
        // polars' own conversion panics for objects in programs that have not set them up.
        let exported = if dtype.contains_objects() { None } else { dtype.try_to_arrow(LEVEL).ok() };
        let (data_type, series, form) = match exported.as_ref().and_then(data_type).zip(exported) {
            Some((DataType::Null, _)) => (DataType::Null, series, Form::Nulls),
            Some((data_type, exported)) => match categories(&series) {
                Some(categories) => (data_type, series.to_physical_repr().into_owned(), Form::Codes(categories)),
                None => (data_type, series, Form::Same(PolarsField::new(pl::PlSmallStr::EMPTY, exported, true))),
            },
            None => {
                // A type from which no column is written: the plan refuses the column by its name.
                let placeholder = Field::new(name, DataType::FixedSizeBinary(16), true);
                let extension = HashMap::from([(EXTENSION_NAME.to_owned(), format!("polars.{dtype:?}"))]);
                let field = placeholder.with_metadata(extension);
                return Self { field, series, pieces, form: Form::Foreign };
            }
        };
        let nullable = data_type == DataType::Null || column.has_nulls();
        Self { field: Field::new(name, data_type, nullable), series, pieces, form }
    }

    /// The values of the piece with this number.
    fn piece(&self, number: usize, bare: bool) -> Result<ArrayRef, ArrowError> {
        match self.pieces {
            Pieces::Chunks => self.chunk(&self.series, number, bare),
            Pieces::Constant => self.chunk(&self.series, 0, bare),
            Pieces::Copies => {
                let start = number.saturating_mul(PIECE);
                if start >= self.series.len() {
                    return Err(self.ended());
                }
                self.chunk(&self.series.slice(start as i64, PIECE).rechunk(), 0, bare)
            }
        }
    }

    /// A chunk of `series`, which is some of this column's.
    fn chunk(&self, series: &pl::Series, number: usize, bare: bool) -> Result<ArrayRef, ArrowError> {
        let chunk = series.chunks().get(number).ok_or_else(|| self.ended())?;
        match &self.form {
            Form::Nulls => Ok(Arc::new(NullArray::new(chunk.len()))),
            Form::Same(exported) => {
                let array = series.to_arrow_with_field(number, Cow::Borrowed(exported), true);
                import(array.map_err(|error| ArrowError::ExternalError(Box::new(error)))?)
            }
            Form::Codes(categories) => {
                let codes = import(chunk.clone())?;
                if bare && may_be_bare(&codes, categories) { Ok(codes) } else { coded(&codes, categories) }
            }
            Form::Foreign => Err(ArrowError::NotYetImplemented(format!(
                "column {:?}: Arrow has no type for the values of a polars {:?}; cast it",
                self.field.name(),
                self.series.dtype()
            ))),
        }
    }

    fn ended(&self) -> ArrowError {
        ArrowError::InvalidArgumentError(format!("column {:?} is shorter than its frame", self.field.name()))
    }
}

/// Integers of 128 bits as integers of 64, which Arrow has, if all of them fit; lists of nothing as lists of floats;
/// other columns as they are.
fn narrowed(series: pl::Series) -> pl::Series {
    // By name: types of 128 bits only exist in programs that ask polars for them.
    if matches!(format!("{:?}", series.dtype()).as_str(), "Int128" | "UInt128") {
        return match series.cast(&pl::DataType::Int64) {
            Ok(narrow) if narrow.null_count() == series.null_count() => narrow,
            _ => series,
        };
    }
    match of_floats(series.dtype()) {
        Some(dtype) => series.cast(&dtype).unwrap_or(series),
        None => series,
    }
}

/// The type with floats for the nothing that lists hold; `None` if they hold something, or it is no list.
fn of_floats(dtype: &pl::DataType) -> Option<pl::DataType> {
    match dtype {
        pl::DataType::List(item) if **item == pl::DataType::Null => {
            Some(pl::DataType::List(Box::new(pl::DataType::Float64)))
        }
        pl::DataType::List(item) => Some(pl::DataType::List(Box::new(of_floats(item)?))),
        _ => None,
    }
}

/// The dictionary that all chunks of a categorical share.
///
/// polars' own export makes another one for each chunk, of the categories that occur there, and with it a copy of the
/// codes by way of a hash table. That is only worth it where there are more categories than rows; it is then left to
/// polars.
fn categories(series: &pl::Series) -> Option<ArrayRef> {
    match series.dtype() {
        pl::DataType::Categorical(_, mapping) if mapping.num_cats_upper_bound() <= series.len() => {
            import(mapping.to_arrow(true)).ok()
        }
        _ => None,
    }
}

/// The same array for arrow-rs: its buffers change hands through the C data interface.
fn import(array: Box<dyn PolarsArray>) -> Result<ArrayRef, ArrowError> {
    let data_type = data_type(array.dtype())
        .ok_or_else(|| ArrowError::CDataInterface(format!("there is no Arrow type for polars' {:?}", array.dtype())))?;
    let exported = export_array_to_c(array);
    // SAFETY: both types are the C data interface's `struct ArrowArray`: `repr(C)`, the same fields in the same order.
    // Both own it and release it on drop; `transmute` moves it, so that it is released once.
    let exported = unsafe { transmute::<ArrowArray, FFI_ArrowArray>(exported) };
    // SAFETY: polars has exported the array by the rules of the interface, `data_type` is its type, and the exported
    // struct keeps its buffers alive.
    let data = unsafe { from_ffi_and_data_type(exported, data_type) }?;
    Ok(make_array(data))
}

/// The arrow-rs type of arrays of this type; `None` if there is none. Names and metadata that matter to nobody here
/// (those of an enum are all its values) are left out.
fn data_type(exported: &ArrowDataType) -> Option<DataType> {
    let unit = |unit: &PolarsTimeUnit| match unit {
        PolarsTimeUnit::Second => TimeUnit::Second,
        PolarsTimeUnit::Millisecond => TimeUnit::Millisecond,
        PolarsTimeUnit::Microsecond => TimeUnit::Microsecond,
        PolarsTimeUnit::Nanosecond => TimeUnit::Nanosecond,
    };
    let field =
        |field: &PolarsField| Some(Field::new(field.name.as_str(), data_type(&field.dtype)?, field.is_nullable));
    Some(match exported {
        ArrowDataType::Null => DataType::Null,
        ArrowDataType::Boolean => DataType::Boolean,
        ArrowDataType::Int8 => DataType::Int8,
        ArrowDataType::Int16 => DataType::Int16,
        ArrowDataType::Int32 => DataType::Int32,
        ArrowDataType::Int64 => DataType::Int64,
        ArrowDataType::UInt8 => DataType::UInt8,
        ArrowDataType::UInt16 => DataType::UInt16,
        ArrowDataType::UInt32 => DataType::UInt32,
        ArrowDataType::UInt64 => DataType::UInt64,
        ArrowDataType::Float16 => DataType::Float16,
        ArrowDataType::Float32 => DataType::Float32,
        ArrowDataType::Float64 => DataType::Float64,
        ArrowDataType::Utf8View => DataType::Utf8View,
        ArrowDataType::BinaryView => DataType::BinaryView,
        ArrowDataType::LargeBinary => DataType::LargeBinary,
        ArrowDataType::Timestamp(precision, zone) => {
            DataType::Timestamp(unit(precision), zone.as_ref().map(|zone| zone.as_str().into()))
        }
        ArrowDataType::Date32 => DataType::Date32,
        ArrowDataType::Time64(precision) => DataType::Time64(unit(precision)),
        ArrowDataType::Duration(precision) => DataType::Duration(unit(precision)),
        ArrowDataType::Decimal(precision, scale) => {
            DataType::Decimal128(u8::try_from(*precision).ok()?, i8::try_from(*scale).ok()?)
        }
        ArrowDataType::Dictionary(key, values, _) => {
            let key = match key {
                IntegerType::UInt8 => DataType::UInt8,
                IntegerType::UInt16 => DataType::UInt16,
                IntegerType::UInt32 => DataType::UInt32,
                _ => return None,
            };
            DataType::Dictionary(Box::new(key), Box::new(data_type(values)?))
        }
        ArrowDataType::LargeList(item) => DataType::LargeList(Arc::new(field(item)?)),
        ArrowDataType::FixedSizeList(item, width) => {
            DataType::FixedSizeList(Arc::new(field(item)?), i32::try_from(*width).ok()?)
        }
        ArrowDataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect::<Option<_>>()?),
        ArrowDataType::Extension(extension) => return data_type(&extension.inner),
        _ => return None,
    })
}
