//! Columns of arrays: NumPy arrays and lists of numbers, as lists within lists with float64 in the innermost.
//!
//! Arrays of float64 that lie in one piece are read where they are. Of others, and of lists, `_arrays.py` makes arrays of
//! numbers that float64 holds exactly, and joins all of them. Arrow's lists have no
//! shape of their own: behind a dimension of length 0 the others are lost, so that (0, 3) becomes (0, 0).

use std::iter::repeat_n;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, LargeListArray};
use arrow_buffer::{Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};
use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::memory::Memory;
use super::objects::repr;
use super::plain::{MOST_DIMENSIONS, Plain, items};
use crate::error::{bad_column, bad_value};

/// Elements that QuestDB takes in one array, each dimension counted as one at least.
const MOST_ELEMENTS: usize = (1 << 28) - 1;

/// The cells, each an array, a list or a tuple.
pub(super) fn column<'py>(
    py: Python<'py>,
    name: &str,
    cells: impl Iterator<Item = Option<Bound<'py, PyAny>>>,
) -> PyResult<ArrayRef> {
    let module = py.import("questframe._arrays")?;
    let (numbers, join) = (module.getattr("numbers")?, module.getattr("join")?);
    let plain = Plain::new(py)?;
    let cells: Vec<_> = cells.collect();
    let arrays = PyList::empty(py);
    let mut shapes = Vec::with_capacity(cells.len());
    // The numbers of all cells, as long as they lie in memory as they will here.
    let mut leaves = Some(MutableBuffer::new(0));
    // The dimensions of the column, from the first array that says so.
    let mut dimensions = None;
    for (row, cell) in cells.iter().enumerate() {
        let Some(cell) = cell else {
            shapes.push(None);
            continue;
        };
        let refused = |message: &str| bad_value(py, name, row, &repr(cell), message);
        let (array, shape, least): (_, Vec<usize>, _) = match plain.array(cell) {
            Some(array) => {
                match (items(array), &mut leaves) {
                    (Some(items), Some(leaves)) => leaves.extend_from_slice(items),
                    _ => leaves = None,
                }
                (cell.clone(), array.shape().to_vec(), false)
            }
            None => {
                leaves = None;
                let made = numbers.call1((cell,)).and_then(|made| made.extract::<(Bound<'_, PyAny>, bool)>());
                let (array, least) = made.map_err(|error| {
                    if error.is_instance_of::<PyValueError>(py) { refused(&error.value(py).to_string()) } else { error }
                })?;
                let shape = array.getattr("shape")?.extract()?;
                (array, shape, least)
            }
        };
        if shape.len() > MOST_DIMENSIONS {
            return Err(refused("an array has at most 32 dimensions; reshape it"));
        }
        if is_too_large(&shape) {
            return Err(refused("an array has at most 268435455 elements; split it"));
        }
        match dimensions {
            _ if least => {}
            None => dimensions = Some(shape.len()),
            Some(dimensions) if dimensions != shape.len() => {
                return Err(refused(&dimensions_differ(shape.len(), dimensions)));
            }
            Some(_) => {}
        }
        arrays.append(array)?;
        shapes.push(Some(shape));
    }
    let most = shapes.iter().flatten().map(Vec::len).max().unwrap_or(1);
    let dimensions = dimensions.unwrap_or(most);
    for (row, (shape, cell)) in shapes.iter_mut().zip(&cells).enumerate() {
        let Some(shape) = shape else { continue };
        if shape.len() > dimensions {
            let cell = cell.as_ref().map(repr).unwrap_or_default();
            return Err(bad_value(py, name, row, &cell, &dimensions_differ(shape.len(), dimensions)));
        }
        shape.resize(dimensions, 0);
    }
    let (leaves, items) = match leaves {
        Some(leaves) => {
            let items = leaves.len() / size_of::<f64>();
            (Buffer::from(leaves), items)
        }
        None => {
            let joined: Memory = join.call1((arrays,))?.extract()?;
            let items = joined.items();
            (joined.into_buffer()?, items)
        }
    };
    let leaves = Float64Array::new(ScalarBuffer::new(leaves, 0, items), None);
    nest(Arc::new(leaves), &shapes, dimensions).map_err(|error| bad_column(py, name, &error.to_string()))
}

/// Whether an array has more elements than QuestDB takes.
pub(super) fn is_too_large(shape: &[usize]) -> bool {
    let elements = shape.iter().try_fold(1_usize, |all, length| all.checked_mul((*length).max(1)));
    elements.is_none_or(|elements| elements > MOST_ELEMENTS)
}

fn dimensions_differ(here: usize, others: usize) -> String {
    format!(
        "the array has {here} dimensions, those above have {others}; QuestDB's array columns have one number of \
         dimensions: reshape it"
    )
}

/// Lists around the leaves, from the innermost outwards.
fn nest(
    leaves: ArrayRef,
    shapes: &[Option<Vec<usize>>],
    dimensions: usize,
) -> Result<ArrayRef, arrow_schema::ArrowError> {
    let mut values = leaves;
    for level in (0..dimensions).rev() {
        let lengths: Vec<usize> = shapes
            .iter()
            .flat_map(|shape| match shape {
                Some(shape) => repeat_n(shape[level], shape[..level].iter().product()),
                None => repeat_n(0, usize::from(level == 0)),
            })
            .collect();
        let nulls = (level == 0)
            .then(|| NullBuffer::from_iter(shapes.iter().map(Option::is_some)))
            .filter(|nulls| nulls.null_count() > 0);
        let item = Field::new("item", values.data_type().clone(), false);
        let offsets = OffsetBuffer::<i64>::from_lengths(lengths);
        values = Arc::new(LargeListArray::try_new(Arc::new(item), offsets, values, nulls)?);
    }
    debug_assert!(matches!(values.data_type(), DataType::LargeList(_)));
    Ok(values)
}
