//! Lists of numbers in the one form in which the encoder reads arrays: `LargeList` at every level, `Float64` without
//! nulls at the bottom.
//!
//! Offsets are made anew where they are not these already; floats without nulls are not copied.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, LargeListArray, UInt64Array};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field};

use super::misfits::{Misfits, misfit, valid};
use super::number::Number;
use crate::column::arrays::Arrays;
use crate::column::{Floats, Integers};

/// A dimension has at most so many items, and an array fewer floats than that: the server counts bytes in 31 bits.
const MAX_FLOATS: usize = (1 << 28) - 1;

/// Whether rows of this type can be such that QuestDB does not store them: one level of floats or small integers always
/// is an array. (Rows of more than [`MAX_FLOATS`] are longer than any buffer by default, and refused for that.)
pub(super) fn may_be_wrong(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => {
            item.data_type().is_nested() || matches!(item.data_type(), DataType::Int64 | DataType::UInt64)
        }
        _ => true,
    }
}

/// The lists of a column; rows that QuestDB does not store as an array are noted.
pub(super) fn lists(array: &ArrayRef, misfits: &mut Misfits) -> Result<ArrayRef, ArrowError> {
    let mut inner = Vec::new();
    let list = level(array, &mut inner)?;
    let rows = Rows { levels: inner.iter().map(|level| level.offsets.clone()).collect() };
    // Row by row only where something can be wrong at all.
    for (depth, level) in inner.iter().enumerate().skip(1) {
        if let Some(nulls) = level.nulls.as_ref().filter(|nulls| nulls.null_count() > 0) {
            for (item, row) in rows.of_items(depth, valid(array)) {
                if nulls.is_null(item) {
                    misfits.add(row, || {
                        let why = "an inner list is null, and QuestDB's arrays have no such thing";
                        (
                            "a list with a null in it".to_owned(),
                            misfit(why, "drop such rows, or fill the inner list with NaN"),
                        )
                    });
                }
            }
        }
    }
    let Some(leaf) = inner.last().map(|level| level.values.clone()) else { return Ok(list) };
    if let Some(integers) = Integers::bind(&leaf).filter(|_| leaf.data_type().primitive_width() == Some(8)) {
        for (item, row) in rows.of_items(inner.len(), valid(array)) {
            let value = integers.get(item);
            if !(leaf.is_null(item) || is_exact(value, 53)) {
                misfits.add(row, || {
                    let why = "an integer in the list is not exact as DOUBLE, which is all that QuestDB's arrays hold";
                    (value.to_string(), misfit(why, "round it, or cast the lists to Float64"))
                });
            }
        }
    }
    let Some(arrays) = Arrays::bind(&list) else { return Ok(list) };
    for row in valid(array) {
        let floats = arrays.leaves(row..row + 1).len();
        if floats > MAX_FLOATS {
            misfits.add(row, || {
                let why = "the array is larger than the 2 GiB that the server takes";
                (format!("{floats} floats"), misfit(why, "split it into several rows"))
            });
        } else if arrays.dims() > 1 && !arrays.is_regular(row) {
            misfits.add(row, || {
                let why = "the lists inside are not equally long, and QuestDB's arrays are rectangular";
                ("a ragged list".to_owned(), misfit(why, "pad them with NaN"))
            });
        }
    }
    Ok(list)
}

/// Whether a float of so many significant bits holds the integer.
pub(super) fn is_exact(value: i128, bits: u32) -> bool {
    let magnitude = value.unsigned_abs();
    magnitude == 0 || 128 - magnitude.leading_zeros() - magnitude.trailing_zeros() <= bits
}

/// One level of lists, before its items are cast.
struct Level {
    offsets: ScalarBuffer<i64>,
    nulls: Option<NullBuffer>,
    values: ArrayRef,
}

struct Rows {
    levels: Vec<ScalarBuffer<i64>>,
}

impl Rows {
    /// The items at a depth, with the row each belongs to.
    fn of_items(&self, depth: usize, rows: impl Iterator<Item = usize>) -> impl Iterator<Item = (usize, usize)> {
        rows.flat_map(move |row| {
            let (mut start, mut end) = (row, row + 1);
            for offsets in &self.levels[..depth] {
                (start, end) = (offsets[start] as usize, offsets[end] as usize);
            }
            (start..end).map(move |item| (item, row))
        })
    }
}

/// The array with lists of 64-bit offsets, and floats at the bottom; what was on each level goes to `levels`.
fn level(array: &ArrayRef, levels: &mut Vec<Level>) -> Result<ArrayRef, ArrowError> {
    let Some((offsets, values)) = items(array)? else { return Ok(leaf(array)) };
    levels.push(Level { offsets: offsets.inner().clone(), nulls: array.nulls().cloned(), values: values.clone() });
    let values = level(&values, levels)?;
    let item = Arc::new(Field::new("item", values.data_type().clone(), true));
    Ok(Arc::new(LargeListArray::try_new(item, offsets, values, array.nulls().cloned())?))
}

/// The offsets of a list array, from 0, and the items they count; `None` if it is none.
fn items(array: &ArrayRef) -> Result<Option<(OffsetBuffer<i64>, ArrayRef)>, ArrowError> {
    Ok(Some(match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            let first = offsets[0];
            let counted = offsets.iter().map(|offset| i64::from(offset - first)).collect::<Vec<_>>();
            let length = (offsets[offsets.len() - 1] - first) as usize;
            (OffsetBuffer::new(counted.into()), list.values().slice(first as usize, length))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = list.value_offsets();
            let first = offsets[0];
            let length = (offsets[offsets.len() - 1] - first) as usize;
            let counted = match first {
                0 => list.offsets().clone(),
                _ => OffsetBuffer::new(offsets.iter().map(|offset| offset - first).collect::<Vec<_>>().into()),
            };
            (counted, list.values().slice(first as usize, length))
        }
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let counted = (0..=array.len() as i64).map(|row| row * i64::from(*size)).collect::<Vec<_>>();
            (OffsetBuffer::new(counted.into()), list.values().clone())
        }
        DataType::ListView(_) => {
            let list = array.as_list_view::<i32>();
            let offsets = list.value_offsets().iter().map(|offset| *offset as u64).collect::<Vec<_>>();
            let sizes = list.value_sizes().iter().map(|size| *size as u64).collect::<Vec<_>>();
            viewed(array, &offsets, &sizes, list.values())?
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view::<i64>();
            let offsets = list.value_offsets().iter().map(|offset| *offset as u64).collect::<Vec<_>>();
            let sizes = list.value_sizes().iter().map(|size| *size as u64).collect::<Vec<_>>();
            viewed(array, &offsets, &sizes, list.values())?
        }
        _ => return Ok(None),
    }))
}

/// Views in the order of their rows; those of nulls may point anywhere and are empty.
fn viewed(
    array: &ArrayRef,
    offsets: &[u64],
    sizes: &[u64],
    values: &ArrayRef,
) -> Result<(OffsetBuffer<i64>, ArrayRef), ArrowError> {
    let size = |row: usize| if array.is_valid(row) { sizes[row] } else { 0 };
    let mut counted = Vec::with_capacity(array.len() + 1);
    let mut end = 0;
    counted.push(0);
    for row in 0..array.len() {
        end += size(row) as i64;
        counted.push(end);
    }
    let indices: UInt64Array =
        (0..array.len()).flat_map(|row| offsets[row]..offsets[row] + size(row)).map(Some).collect();
    Ok((OffsetBuffer::new(counted.into()), arrow_select::take::take(&countable(values)?, &indices, None)?))
}

/// The array in a form from which arrow takes rows without losing count of them, which it does where lists have the
/// fixed size 0: those become lists of any size.
pub(super) fn countable(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !has_size_zero(array.data_type()) {
        return Ok(array.clone());
    }
    let Some((offsets, values)) = items(array)? else { return Ok(array.clone()) };
    let values = countable(&values)?;
    let item = Arc::new(Field::new("item", values.data_type().clone(), true));
    Ok(Arc::new(LargeListArray::try_new(item, offsets, values, array.nulls().cloned())?))
}

fn has_size_zero(data_type: &DataType) -> bool {
    match data_type {
        DataType::FixedSizeList(_, 0) => true,
        DataType::FixedSizeList(item, _)
        | DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => has_size_zero(item.data_type()),
        _ => false,
    }
}

/// The bottom as floats, NaN where null.
fn leaf(array: &ArrayRef) -> ArrayRef {
    if *array.data_type() == DataType::Float64 {
        let floats = array.as_primitive::<Float64Type>();
        return match floats.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => Arc::new(Float64Array::new(floats.values().clone(), None)),
            Some(nulls) => {
                let filled = floats.values().iter().zip(nulls).map(|(v, valid)| if valid { *v } else { f64::NAN });
                Arc::new(Float64Array::new(filled.collect(), None))
            }
        };
    }
    let value = |row: usize| match Number::of(array, row) {
        Some(Number::Integer(value)) => value as f64,
        Some(Number::Float(value)) => value,
        _ => f64::NAN,
    };
    let mut scratch = Vec::new();
    let floats: Vec<f64> = match Floats::bind(array) {
        // Widened in one go; as bits, so that NaN stays the NaN it is.
        Some(floats) if array.null_count() == 0 => {
            floats.bits(0..array.len(), &mut scratch).iter().map(|bits| f64::from_bits(*bits)).collect()
        }
        _ => (0..array.len()).map(|row| if array.is_valid(row) { value(row) } else { f64::NAN }).collect(),
    };
    Arc::new(Float64Array::new(ScalarBuffer::from(Buffer::from_vec(floats)), None))
}
