//! Dictionary columns: each distinct value is escaped and rendered once per write, as a whole cell.
//!
//! Producers export a new dictionary with other codes for every slice of a frame (Polars does), so cells are found by
//! content, not by address; a dictionary that is the same object as the last one is not even looked at again.
//! Values that no row uses are never rendered.

use std::collections::HashMap;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;

use super::text::Text;
use crate::fmt::escape::Escape;

/// The cell of a null: nothing, or the table's name alone in a line's first column.
const NULL_CELL: u32 = 0;
const UNSEEN: u32 = u32::MAX;

/// Cells kept from one batch to the next; beyond it they are rendered anew, so that columns of unbounded
/// cardinality do not grow without bound.
const KEPT: usize = 1 << 16;

/// How long the cells are, which decides how they are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// Cells padded to 32, 64 or 128 bytes: one copy of fixed size.
    Fixed(usize),
    /// Longer cells lie end to end and are copied exactly.
    Any,
}

/// The rendered cells of one column.
#[derive(Debug)]
pub(crate) struct Cells {
    prefix: Vec<u8>,
    suffix: &'static [u8],
    escape: Escape,
    null: Vec<u8>,
    found: HashMap<Box<[u8]>, u32>,
    width: Width,
    text: Vec<u8>,
    /// Where each cell starts in `text`, for [`Width::Any`].
    starts: Vec<usize>,
    lengths: Vec<u32>,
    /// Code of the current dictionary to cell.
    cell_of: Vec<u32>,
    dictionary: Option<ArrayRef>,
    renderings: u64,
}

impl Cells {
    /// Cells of the form `prefix` + escaped value + `suffix`; a null is `null`.
    pub(crate) fn new(prefix: Vec<u8>, escape: Escape, suffix: &'static [u8], null: Vec<u8>) -> Self {
        let mut cells = Self {
            prefix,
            suffix,
            escape,
            null,
            found: HashMap::new(),
            width: Width::Fixed(32),
            text: Vec::new(),
            starts: Vec::new(),
            lengths: Vec::new(),
            cell_of: Vec::new(),
            dictionary: None,
            renderings: 0,
        };
        cells.clear();
        cells
    }

    fn clear(&mut self) {
        self.found.clear();
        self.text.clear();
        self.starts.clear();
        self.lengths.clear();
        self.width = Width::Fixed(32);
        let null = self.null.clone();
        self.push(&null);
    }

    /// How many values have been rendered since the start of the write.
    #[cfg(test)]
    pub(crate) fn renderings(&self) -> u64 {
        self.renderings
    }

    pub(crate) fn width(&self) -> Width {
        self.width
    }

    /// The padded cells end to end, for [`Width::Fixed`].
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(crate) fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// The bytes of a cell, whatever the width.
    pub(crate) fn get(&self, cell: u32) -> &[u8] {
        let cell = cell as usize;
        &self.text[self.starts[cell]..self.starts[cell] + self.lengths[cell] as usize]
    }

    /// The bytes that the cells of these codes may write.
    pub(crate) fn bytes(&self, codes: &[u32]) -> usize {
        match self.width {
            Width::Fixed(width) => codes.len() * width,
            Width::Any => codes.iter().map(|code| self.lengths[*code as usize] as usize).sum(),
        }
    }

    /// Takes the dictionary of the next batch.
    pub(crate) fn bind(&mut self, array: &ArrayRef) {
        let values = array.as_any_dictionary().values();
        if self.dictionary.as_ref().is_some_and(|last| last.to_data().ptr_eq(&values.to_data())) {
            return;
        }
        if self.lengths.len() > KEPT {
            self.clear();
        }
        self.cell_of.clear();
        self.cell_of.resize(values.len(), UNSEEN);
        self.dictionary = Some(values.clone());
    }

    /// The cells of these rows, rendering those not seen before.
    pub(crate) fn fill(&mut self, array: &dyn Array, rows: Range<usize>, out: &mut Vec<u32>) {
        out.clear();
        match array.data_type() {
            DataType::Dictionary(key, _) => match key.as_ref() {
                DataType::Int8 => self.fill_keys(array.as_dictionary::<Int8Type>().keys(), rows, out),
                DataType::Int16 => self.fill_keys(array.as_dictionary::<Int16Type>().keys(), rows, out),
                DataType::Int32 => self.fill_keys(array.as_dictionary::<Int32Type>().keys(), rows, out),
                DataType::Int64 => self.fill_keys(array.as_dictionary::<Int64Type>().keys(), rows, out),
                DataType::UInt8 => self.fill_keys(array.as_dictionary::<UInt8Type>().keys(), rows, out),
                DataType::UInt16 => self.fill_keys(array.as_dictionary::<UInt16Type>().keys(), rows, out),
                DataType::UInt32 => self.fill_keys(array.as_dictionary::<UInt32Type>().keys(), rows, out),
                _ => self.fill_keys(array.as_dictionary::<UInt64Type>().keys(), rows, out),
            },
            _ => out.resize(rows.len(), NULL_CELL),
        }
    }

    fn fill_keys<K: ArrowDictionaryKeyType>(
        &mut self,
        keys: &PrimitiveArray<K>,
        rows: Range<usize>,
        out: &mut Vec<u32>,
    ) {
        let values = &keys.values()[rows.clone()];
        match keys.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => {
                // Looked up without a branch; values met for the first time are rendered in a second round.
                let cell_of = self.cell_of.as_slice();
                out.extend(values.iter().map(|key| cell_of[key.as_usize()]));
                if out.iter().fold(false, |unseen, cell| unseen | (*cell == UNSEEN)) {
                    out.clear();
                    out.extend(values.iter().map(|key| self.cell(key.as_usize())));
                }
            }
            Some(nulls) => out.extend(
                values.iter().zip(rows).map(
                    |(key, row)| {
                        if nulls.is_valid(row) { self.cell(key.as_usize()) } else { NULL_CELL }
                    },
                ),
            ),
        }
    }

    #[inline]
    fn cell(&mut self, code: usize) -> u32 {
        match self.cell_of[code] {
            UNSEEN => self.find(code),
            cell => cell,
        }
    }

    #[cold]
    fn find(&mut self, code: usize) -> u32 {
        let cell = match &self.dictionary {
            Some(values) if values.is_valid(code) => {
                let values = values.clone();
                Text::bind(values.as_ref()).map_or(NULL_CELL, |text| self.find_text(text.get(code)))
            }
            // A code may be valid and its value null.
            _ => NULL_CELL,
        };
        self.cell_of[code] = cell;
        cell
    }

    fn find_text(&mut self, text: &[u8]) -> u32 {
        if let Some(cell) = self.found.get(text) {
            return *cell;
        }
        let mut rendered = self.prefix.clone();
        self.escape.append(text, &mut rendered);
        rendered.extend_from_slice(self.suffix);
        let cell = self.lengths.len() as u32;
        self.push(&rendered);
        self.renderings += 1;
        self.found.insert(text.into(), cell);
        cell
    }

    fn push(&mut self, cell: &[u8]) {
        let needed = match cell.len() {
            0..=32 => Width::Fixed(32),
            33..=64 => Width::Fixed(64),
            65..=128 => Width::Fixed(128),
            _ => Width::Any,
        };
        let wider = match (self.width, needed) {
            (Width::Fixed(have), Width::Fixed(needed)) => needed > have,
            (Width::Fixed(_), Width::Any) => true,
            (Width::Any, _) => false,
        };
        if wider {
            self.lay_out(needed);
        }
        self.starts.push(self.text.len());
        self.lengths.push(cell.len() as u32);
        self.text.extend_from_slice(cell);
        if let Width::Fixed(width) = self.width {
            self.text.resize(self.lengths.len() * width, 0);
        }
    }

    /// Lays all cells out anew for a wider one: at most three times in a column's life.
    fn lay_out(&mut self, width: Width) {
        let old = std::mem::take(&mut self.text);
        for (start, length) in self.starts.iter_mut().zip(&self.lengths) {
            let cell = &old[*start..*start + *length as usize];
            *start = self.text.len();
            self.text.extend_from_slice(cell);
            if let Width::Fixed(width) = width {
                self.text.resize(*start + width, 0);
            }
        }
        self.width = width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{DictionaryArray, StringArray};
    use std::sync::Arc;

    fn cells() -> Cells {
        Cells::new(b"t,s=".to_vec(), Escape::Unquoted, b"", b"t".to_vec())
    }

    fn dictionary(keys: Vec<Option<i32>>, values: &[&str]) -> ArrayRef {
        let values = Arc::new(StringArray::from_iter_values(values)) as ArrayRef;
        Arc::new(DictionaryArray::<Int32Type>::new(keys.into(), values))
    }

    fn rendered(cells: &mut Cells, array: &ArrayRef) -> Vec<String> {
        cells.bind(array);
        let mut codes = Vec::new();
        cells.fill(array.as_ref(), 0..array.len(), &mut codes);
        codes.iter().map(|code| String::from_utf8_lossy(cells.get(*code)).into_owned()).collect()
    }

    #[test]
    fn slices_with_their_own_dictionaries_render_each_value_once() {
        let mut cells = cells();
        assert_eq!(
            rendered(&mut cells, &dictionary(vec![Some(1), None, Some(0)], &["a b", "c", "unused"])),
            ["t,s=c", "t", "t,s=a\\ b"]
        );
        assert_eq!(rendered(&mut cells, &dictionary(vec![Some(0), Some(1)], &["c", "a b"])), ["t,s=c", "t,s=a\\ b"]);
        assert_eq!(cells.renderings(), 2);
    }

    #[test]
    fn cells_keep_their_text_when_a_longer_one_arrives() {
        let long = ["x".repeat(20), "y".repeat(50), "z".repeat(100), "w".repeat(5000)];
        let mut cells = cells();
        for value in &long {
            let array = dictionary(vec![Some(0), Some(1)], &[value, "short"]);
            assert_eq!(rendered(&mut cells, &array), [format!("t,s={value}"), "t,s=short".to_owned()]);
        }
        assert_eq!(cells.width(), Width::Any);
    }
}
