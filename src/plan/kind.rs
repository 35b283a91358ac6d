//! What a column holds, told by its Arrow type alone: the many types of Arrow, brought to the few that matter here.
//!
//! Rules: `spec/dataframe.md` sections 3.6, 8 and 9.

use arrow_schema::{DataType, Field, TimeUnit};

use super::PlanError;
use super::column_type::MAX_DIMS;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    /// Of so many bits.
    Integer {
        signed: bool,
        bits: u8,
    },
    Float {
        bits: u8,
    },
    Text {
        /// Each value once, and codes.
        dictionary: bool,
    },
    Instant(InstantUnit),
    /// Time of day.
    Time,
    Duration,
    Decimal {
        precision: u8,
        scale: i8,
    },
    /// Values that are in their wire form already; see [`CELLS`].
    Cells(CellsKind),
    /// Lists of numbers, nested so deep.
    Array {
        dims: u8,
    },
    /// Sixteen bytes, `arrow.uuid`.
    Uuid,
}

/// The unit of instants in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstantUnit {
    Day,
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

/// The extension type of sixteen bytes that are a UUID.
const UUID: &str = "arrow.uuid";

/// The metadata of a field whose binary values are in wire form, as the drop-in makes them: the official client sends
/// Python's decimals each with its own scale, and arrays with whatever dimensions they have.
const CELLS: &str = "questframe.cells";

/// What values in wire form are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellsKind {
    Decimals,
    Arrays,
}

impl Kind {
    /// What a column of this field holds. Only where `takes_cells` is values in wire form understood: they go out unseen,
    /// so that metadata from elsewhere must not make them of anybody's bytes.
    ///
    /// # Errors
    /// For types without a form in ILP, with what to do instead.
    pub(crate) fn of(field: &Field, takes_cells: bool) -> Result<Self, PlanError> {
        let data_type = field.data_type();
        let refused = |data_type: String, advice| Err(PlanError::Unsupported { data_type, advice });
        if takes_cells && *data_type == DataType::LargeBinary {
            match field.metadata().get(CELLS).map(String::as_str) {
                Some("decimals") => return Ok(Self::Cells(CellsKind::Decimals)),
                Some("arrays") => return Ok(Self::Cells(CellsKind::Arrays)),
                _ => {}
            }
        }
        match field.extension_type_name() {
            Some(UUID) if *data_type == DataType::FixedSizeBinary(16) => Ok(Self::Uuid),
            // A Polars type that Arrow does not have; see `frontend::polars`.
            Some(name) if name.starts_with("polars.") => {
                refused(name.to_owned(), "Arrow has no such type; cast it to Int64, Float64 or a string")
            }
            // Other extension types go by their storage.
            _ => Self::of_type(data_type).or_else(|advice| refused(data_type.to_string(), advice)),
        }
    }

    /// As [`of`](Self::of); the error is what to do instead.
    fn of_type(data_type: &DataType) -> Result<Self, &'static str> {
        use DataType::{
            Binary, BinaryView, Boolean, Date32, Date64, Decimal32, Decimal64, Decimal128, Decimal256, Dictionary,
            Duration, FixedSizeBinary, FixedSizeList, Float16, Float32, Float64, Int8, Int16, Int32, Int64, Interval,
            LargeBinary, LargeList, LargeListView, LargeUtf8, List, ListView, Map, Null, RunEndEncoded, Struct, Time32,
            Time64, Timestamp, UInt8, UInt16, UInt32, UInt64, Union, Utf8, Utf8View,
        };
        let integer = |signed, bits| Self::Integer { signed, bits };
        Ok(match data_type {
            Null => Self::Null,
            Boolean => Self::Boolean,
            Int8 => integer(true, 8),
            Int16 => integer(true, 16),
            Int32 => integer(true, 32),
            Int64 => integer(true, 64),
            UInt8 => integer(false, 8),
            UInt16 => integer(false, 16),
            UInt32 => integer(false, 32),
            UInt64 => integer(false, 64),
            Float16 => Self::Float { bits: 16 },
            Float32 => Self::Float { bits: 32 },
            Float64 => Self::Float { bits: 64 },
            Utf8 | LargeUtf8 | Utf8View => Self::Text { dictionary: false },
            Timestamp(TimeUnit::Second, _) => Self::Instant(InstantUnit::Second),
            Timestamp(TimeUnit::Millisecond, _) | Date64 => Self::Instant(InstantUnit::Millisecond),
            Timestamp(TimeUnit::Microsecond, _) => Self::Instant(InstantUnit::Microsecond),
            Timestamp(TimeUnit::Nanosecond, _) => Self::Instant(InstantUnit::Nanosecond),
            Date32 => Self::Instant(InstantUnit::Day),
            Time32(_) | Time64(_) => Self::Time,
            Duration(_) => Self::Duration,
            Decimal32(precision, scale)
            | Decimal64(precision, scale)
            | Decimal128(precision, scale)
            | Decimal256(precision, scale) => Self::Decimal { precision: *precision, scale: *scale },
            Dictionary(_, values) => match values.as_ref() {
                Dictionary(..) => return Err("dictionaries of dictionaries have no form in ILP; cast it to a string"),
                Utf8 | LargeUtf8 | Utf8View => Self::Text { dictionary: true },
                // A dictionary of nulls holds nothing.
                values => Self::of_type(values)?,
            },
            RunEndEncoded(_, values) => Self::of_type(values.data_type())?,
            List(_) | LargeList(_) | ListView(_) | LargeListView(_) | FixedSizeList(..) => {
                Self::Array { dims: dims(data_type)? }
            }
            Interval(_) => return Err("split it into columns of months, days and nanoseconds, or turn it into text"),
            Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => {
                return Err("ILP carries no binary values; encode it as hex or base64 text");
            }
            Struct(_) => return Err("unnest it into one column per field"),
            Map(..) => return Err("turn it into one column per key"),
            Union(..) => return Err("turn it into one column per type, with nulls where a row has another"),
        })
    }
}

/// How deep lists of numbers are nested.
fn dims(data_type: &DataType) -> Result<u8, &'static str> {
    let mut dims = 0;
    let mut leaf = data_type;
    while let DataType::List(item)
    | DataType::LargeList(item)
    | DataType::ListView(item)
    | DataType::LargeListView(item)
    | DataType::FixedSizeList(item, _) = leaf
    {
        dims += 1;
        leaf = item.data_type();
    }
    if dims > MAX_DIMS {
        return Err("QuestDB's arrays have at most 32 dimensions; flatten it");
    }
    let is_number = leaf.is_integer() || leaf.is_floating() || *leaf == DataType::Null;
    if is_number { Ok(dims as u8) } else { Err("QuestDB's arrays hold DOUBLE only; cast its items to Float64") }
}
