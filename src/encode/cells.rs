//! Dictionary columns: each distinct value is escaped and rendered once per write, as a whole cell.
//!
//! Where a dictionary is small beside the frame, cells lie in the order of its codes: the frame's own codes address
//! them, and only the values between the least and the greatest code met are rendered. Else, and when a write brings
//! another dictionary (producers such as Polars may export a new one, with other codes, for every slice of a frame),
//! cells are found by content, and each code is translated to its cell; values that no row uses are never rendered.
//! A dictionary that is the same object as the last one is not even looked at again.

use std::collections::HashMap;
use std::ops::Range;

use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;

use super::aligned::Aligned;
use super::codes::Codes;
use crate::column::Keys;
use crate::column::Text;
use crate::fmt::escape::Escape;
use crate::frontend::are_same;

const UNSEEN: u32 = u32::MAX;

/// Cells kept from one batch to the next; beyond it they are rendered anew, so that columns of unbounded
/// cardinality do not grow without bound.
const KEPT: usize = 1 << 16;

/// Rows for each value of its dictionary from which on cells lie in the order of the codes.
const ROWS_PER_VALUE: usize = 4;

/// The greatest code of a byte.
const BYTE: u32 = u8::MAX as u32;

/// How long the cells are, which decides how they are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// Cells padded to 32, 64 or 128 bytes, the last of which is the length: one copy of fixed size.
    Fixed(usize),
    /// Longer cells lie end to end and are copied exactly.
    Any,
}

impl Width {
    fn of(length: usize) -> Self {
        match length {
            0..32 => Self::Fixed(32),
            32..64 => Self::Fixed(64),
            64..128 => Self::Fixed(128),
            _ => Self::Any,
        }
    }

    fn holds(self, length: usize) -> bool {
        match self {
            Self::Fixed(width) => length < width,
            Self::Any => true,
        }
    }
}

/// Where the cell of a code is.
#[derive(Debug)]
enum Order {
    /// The code is its cell; those of `rendered` are there.
    Codes { rendered: Range<usize> },
    /// By this table; values not met before are [`UNSEEN`].
    Found { cell_of: Vec<u32> },
}

/// The rendered cells of one column.
#[derive(Debug)]
pub(crate) struct Cells {
    prefix: Vec<u8>,
    suffix: &'static [u8],
    escape: Escape,
    null: Vec<u8>,
    order: Order,
    found: HashMap<Box<[u8]>, u32>,
    width: Width,
    text: Aligned,
    /// Where each cell ends in `text`, for [`Width::Any`].
    ends: Vec<usize>,
    /// No cell is longer than `longest`, and no cell of a value is shorter than `shortest`.
    longest: usize,
    shortest: usize,
    /// The cell of a null: nothing, or the table's name alone in a line's first column.
    null_cell: u32,
    dictionary: Option<ArrayRef>,
    renderings: u64,
}

impl Cells {
    /// Cells of the form `prefix` + escaped value + `suffix`; a null is `null`.
    pub(crate) fn new(prefix: Vec<u8>, escape: Escape, suffix: &'static [u8], null: Vec<u8>) -> Self {
        Self {
            prefix,
            suffix,
            escape,
            null,
            order: Order::Found { cell_of: Vec::new() },
            found: HashMap::new(),
            width: Width::Fixed(32),
            text: Aligned::default(),
            ends: Vec::new(),
            longest: 0,
            shortest: usize::MAX,
            null_cell: 0,
            dictionary: None,
            renderings: 0,
        }
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

    /// How many cells there are.
    pub(crate) fn count(&self) -> usize {
        match self.width {
            Width::Fixed(width) => self.text.len() / width,
            Width::Any => self.ends.len(),
        }
    }

    /// Over how many bytes those that rows have had so far are spread, nulls aside.
    pub(crate) fn spread(&self) -> usize {
        match (&self.order, self.width) {
            (Order::Codes { rendered }, Width::Fixed(width)) => rendered.len() * width,
            _ => self.text.len(),
        }
    }

    /// The bytes of a cell, whatever the width.
    pub(crate) fn get(&self, cell: u32) -> &[u8] {
        &self.text[self.place(cell as usize)]
    }

    fn place(&self, cell: usize) -> Range<usize> {
        match self.width {
            Width::Fixed(width) => padded(&self.text, cell, width),
            Width::Any => cell.checked_sub(1).map_or(0, |last| self.ends[last])..self.ends[cell],
        }
    }

    /// The most bytes of a cell that is copied with its padding, 0 where cells are copied exactly.
    pub(crate) fn most(&self) -> usize {
        match self.width {
            Width::Fixed(_) => self.longest,
            Width::Any => 0,
        }
    }

    /// The length of each cell that these rows have, if it is known to be the same.
    pub(crate) fn length(&self, cells: &Codes) -> Option<usize> {
        let has_nulls = cells.most() >= self.null_cell;
        (self.longest == self.shortest && !has_nulls).then_some(self.longest)
    }

    /// The bytes that the cells of so many rows may have.
    pub(crate) fn bytes(&self, cells: &Codes, rows: usize) -> usize {
        match self.width {
            Width::Fixed(_) => rows * self.longest,
            Width::Any => cells.all().iter().map(|cell| self.place(*cell as usize).len()).sum(),
        }
    }

    /// Takes the dictionary of the next batch; `rows` is how many there are to come, at least.
    pub(crate) fn bind(&mut self, keys: &Keys<'_>, rows: usize) {
        let values = keys.values;
        if self.dictionary.as_ref().is_some_and(|last| are_same(last, values)) {
            return;
        }
        let is_first = self.dictionary.replace(values.clone()).is_none();
        if is_first && values.len() <= rows / ROWS_PER_VALUE {
            self.lay_out_codes(values.len());
            return;
        }
        if matches!(self.order, Order::Codes { .. }) || self.count() == 0 || self.count() > KEPT {
            self.clear();
        }
        self.find_all(values.len());
    }

    /// Drops all cells but that of a null.
    fn clear(&mut self) {
        self.found.clear();
        self.text.clear();
        self.ends.clear();
        self.width = Width::Fixed(32);
        (self.longest, self.shortest) = (0, usize::MAX);
        self.null_cell = 0;
        let null = self.null.clone();
        self.push(&null);
    }

    /// Makes room for the cells of so many codes, and puts that of a null behind them.
    fn lay_out_codes(&mut self, codes: usize) {
        self.width = Width::of(self.null.len());
        let Width::Fixed(width) = self.width else {
            self.clear();
            self.find_all(codes);
            return;
        };
        self.text.clear();
        self.text.resize((codes + 1) * width);
        self.order = Order::Codes { rendered: 0..0 };
        self.null_cell = codes as u32;
        let null = self.null.clone();
        self.put(codes, &null);
    }

    /// Puts the cells of these rows to `out`, rendering what was not met before.
    ///
    /// Codes are copied also where they could be read in place: many columns whose memory starts at like addresses
    /// drive each other out of the caches. With `as_bytes` they are read as such, where each is one and none is null.
    ///
    /// # Errors
    /// If a code has no value, which can only be where codes came alone. Its row is that of the block.
    pub(crate) fn fill(
        &mut self,
        keys: &Keys<'_>,
        rows: Range<usize>,
        as_bytes: bool,
        out: &mut Codes,
    ) -> Result<(), BadCode> {
        if let Order::Codes { rendered } = &self.order {
            let null = self.null_cell;
            let plain = if as_bytes && null <= BYTE { keys.plain(rows.clone()) } else { None };
            let (least, end) = match plain {
                Some(codes) => out.read_bytes(codes),
                None => out.read(keys, rows.clone(), null),
            };
            if end > u64::from(null) {
                out.read(keys, rows, null);
                return Err(BadCode::first(out.all(), null));
            }
            let (least, end) = (least as usize, end as usize);
            if least >= end || (rendered.start <= least && end <= rendered.end) || self.render(least..end) {
                return Ok(());
            }
        }
        self.fill_found(keys, rows, out)
    }

    /// Renders the values of these codes, in the codes' order. If one of them is too long for it, says so and goes over
    /// to [`Order::Found`].
    #[cold]
    fn render(&mut self, codes: Range<usize>) -> bool {
        let Some(values) = self.dictionary.clone() else { return false };
        let Order::Codes { rendered } = &self.order else { return false };
        let done = rendered.clone();
        let all = if done.is_empty() { codes } else { done.start.min(codes.start)..done.end.max(codes.end) };
        let (distinct, mut cell) = (Distinct::bind(&values), Vec::with_capacity(64));
        for code in all.clone().filter(|code| !done.contains(code)) {
            self.cell(distinct.get(code), &mut cell);
            if Width::of(cell.len()) == Width::Any {
                self.clear();
                self.find_all(values.len());
                return false;
            }
            self.put(code, &cell);
        }
        self.order = Order::Codes { rendered: all };
        true
    }

    /// Goes over to cells found by content, in a dictionary of so many values.
    fn find_all(&mut self, values: usize) {
        let mut cell_of = vec![UNSEEN; values];
        // Behind the last code: what a null becomes.
        cell_of.push(self.null_cell);
        self.order = Order::Found { cell_of };
    }

    fn fill_found(&mut self, keys: &Keys<'_>, rows: Range<usize>, out: &mut Codes) -> Result<(), BadCode> {
        let null = keys.values.len() as u32;
        if out.read(keys, rows, null).1 > u64::from(null) {
            return Err(BadCode::first(out.all(), null));
        }
        let Order::Found { cell_of } = &mut self.order else { return Ok(()) };
        let mut cell_of = std::mem::take(cell_of);
        // Looked at without a branch first: most blocks hold nothing new.
        if out.all().iter().fold(false, |unseen, code| unseen | (cell_of[*code as usize] == UNSEEN)) {
            for code in out.all().iter().map(|code| *code as usize) {
                if cell_of[code] == UNSEEN {
                    cell_of[code] = self.find(keys.values, code);
                }
            }
        }
        out.translate(&cell_of);
        self.order = Order::Found { cell_of };
        Ok(())
    }

    /// The cell of this value, known from another dictionary or rendered.
    fn find(&mut self, values: &ArrayRef, code: usize) -> u32 {
        let Some(text) = Distinct::bind(values).get(code) else { return self.null_cell };
        if let Some(cell) = self.found.get(text) {
            return *cell;
        }
        let mut rendered = Vec::new();
        self.cell(Some(text), &mut rendered);
        let cell = self.count() as u32;
        self.push(&rendered);
        self.found.insert(text.into(), cell);
        cell
    }

    /// Renders a value to `out`.
    fn cell(&mut self, value: Option<&[u8]>, out: &mut Vec<u8>) {
        out.clear();
        match value {
            Some(text) => {
                out.extend_from_slice(&self.prefix);
                self.escape.append(text, out);
                out.extend_from_slice(self.suffix);
                self.renderings += 1;
            }
            None => out.extend_from_slice(&self.null),
        }
        self.shortest = self.shortest.min(out.len());
    }

    /// Puts a cell where there is room for one of a fixed width, making all of them wider if it needs that.
    fn put(&mut self, cell: usize, text: &[u8]) {
        self.widen(text.len());
        // Both callers have seen that the text fits a fixed width, whatever the input. Else the cell would be lost.
        let Width::Fixed(width) = self.width else { unreachable!("cells end to end have no room between them") };
        self.pad(cell * width, text, width);
    }

    /// Adds a cell.
    fn push(&mut self, text: &[u8]) {
        self.widen(text.len());
        match self.width {
            Width::Fixed(width) => {
                let start = self.text.len();
                self.text.resize(start + width);
                self.pad(start, text, width);
            }
            Width::Any => {
                self.text.extend_from_slice(text);
                self.ends.push(self.text.len());
                self.longest = self.longest.max(text.len());
            }
        }
    }

    /// Writes a cell where one of this width starts, and its length into its last byte.
    fn pad(&mut self, start: usize, text: &[u8], width: usize) {
        self.text[start..start + text.len()].copy_from_slice(text);
        self.text[start + width - 1] = text.len() as u8;
        self.longest = self.longest.max(text.len());
    }

    /// Lays all cells out anew if one of this length does not fit: at most three times in a column's life.
    fn widen(&mut self, length: usize) {
        if let Width::Fixed(width) = self.width
            && !self.width.holds(length)
        {
            self.width = Width::of(length);
            let old = std::mem::take(&mut self.text);
            for cell in 0..old.len() / width {
                self.push(&old[padded(&old, cell, width)]);
            }
        }
    }
}

/// Where a cell is among such of a fixed width.
fn padded(text: &[u8], cell: usize, width: usize) -> Range<usize> {
    let start = cell * width;
    start..start + usize::from(text[start + width - 1])
}

/// The values of a dictionary.
struct Distinct<'a> {
    text: Option<Text<'a>>,
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Distinct<'a> {
    fn bind(values: &'a ArrayRef) -> Self {
        Self { text: Text::bind(values.as_ref()), nulls: values.nulls() }
    }

    /// The value of a code, which may be valid and its value null.
    fn get(&self, code: usize) -> Option<&'a [u8]> {
        let is_valid = self.nulls.is_none_or(|nulls| nulls.is_valid(code));
        self.text.as_ref().filter(|_| is_valid).map(|text| text.get(code))
    }
}

/// The first code of a block that has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadCode {
    /// The index of its column in the frame.
    pub(crate) column: usize,
    /// In the batch.
    pub(crate) row: usize,
    pub(crate) code: u32,
    /// How many values there are.
    pub(crate) values: u32,
}

impl BadCode {
    /// The first of these codes that is none of so many values', in rows from 0 on of a column 0.
    #[cold]
    fn first(codes: &[u32], values: u32) -> Self {
        let row = codes.iter().position(|code| *code >= values).unwrap_or(0);
        Self { column: 0, row, code: codes.get(row).copied().unwrap_or(values), values }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow_array::types::Int32Type;
    use arrow_array::{DictionaryArray, StringArray, UInt32Array};

    fn cells() -> Cells {
        Cells::new(b"t,s=".to_vec(), Escape::Unquoted, b"", b"t".to_vec())
    }

    fn dictionary(keys: Vec<Option<i32>>, values: &[&str]) -> ArrayRef {
        let values = Arc::new(StringArray::from_iter_values(values)) as ArrayRef;
        Arc::new(DictionaryArray::<Int32Type>::new(keys.into(), values))
    }

    fn rendered(cells: &mut Cells, array: &ArrayRef) -> Vec<String> {
        let keys = Keys::bind(array.as_ref()).expect("a dictionary");
        cells.bind(&keys, array.len());
        let mut filled = Codes::default();
        cells.fill(&keys, 0..array.len(), false, &mut filled).expect("checked codes");
        filled.all().iter().map(|code| String::from_utf8_lossy(cells.get(*code)).into_owned()).collect()
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
        for repeats in [1, 10] {
            let mut cells = cells();
            for value in &long {
                let keys = [Some(0), Some(1)].repeat(repeats);
                let expected = vec![[format!("t,s={value}"), "t,s=short".to_owned()]; repeats].concat();
                assert_eq!(rendered(&mut cells, &dictionary(keys, &[value, "short"])), expected);
            }
            assert_eq!(cells.width(), Width::Any);
        }
    }

    #[test]
    fn cells_in_the_order_of_the_codes() {
        let values = ["unused", "a", &"b".repeat(40), &"c".repeat(80), "unused", &"d".repeat(200), "unused"];
        let cell = |value: &str| format!("t,s={value}");
        let mut cells = cells();
        let all = dictionary([[Some(2), Some(1), Some(3), None]; 8].concat(), &values);
        let expected = vec![[cell(values[2]), cell(values[1]), cell(values[3]), "t".to_owned()]; 8].concat();
        assert_eq!(rendered(&mut cells, &all), expected);
        assert_eq!((cells.renderings(), cells.width()), (3, Width::Fixed(128)));

        // The same dictionary, now with a value too long to be copied in one go.
        let dictionary = all.as_any().downcast_ref::<DictionaryArray<Int32Type>>().expect("made so");
        let long = DictionaryArray::<Int32Type>::new(vec![Some(5), Some(2), None].into(), dictionary.values().clone());
        let expected = [cell(values[5]), cell(values[2]), "t".to_owned()];
        assert_eq!(rendered(&mut cells, &(Arc::new(long) as ArrayRef)), expected);
        assert_eq!(cells.width(), Width::Any);
    }

    #[test]
    fn rows_that_are_all_null_need_no_value() {
        for values in [&[][..], &["unused"]] {
            assert_eq!(rendered(&mut cells(), &dictionary(vec![None; 8], values)), ["t"; 8]);
        }
    }

    #[test]
    fn codes_are_bytes_where_each_fits_one_and_has_a_value() {
        for count in [1, 3, 255, 256, 300] {
            let rows = ROWS_PER_VALUE * count;
            let values = Arc::new(StringArray::from_iter_values((0..count).map(|value| value.to_string()))) as ArrayRef;
            let codes: Vec<u32> = (0..rows).map(|row| (row * 7 % count) as u32).collect();
            let fill = |codes: &[u32]| {
                let array = Arc::new(UInt32Array::from(codes.to_vec())) as ArrayRef;
                let keys = Keys::bare(&array, &values).expect("codes");
                let (mut cells, mut filled) = (cells(), Codes::default());
                cells.bind(&keys, rows);
                cells.fill(&keys, 0..rows, true, &mut filled).map(|()| filled)
            };
            let mut filled = fill(&codes).expect("codes with values");
            assert_eq!(filled.bytes().is_empty(), count > 255, "{count}");
            assert_eq!(filled.most() as usize, count - 1);
            filled.widen();
            assert_eq!((filled.all(), filled.bytes().len()), (codes.as_slice(), 0), "{count}");
            for bad in [count as u32, 256 + count as u32, u32::MAX] {
                let mut codes = codes.clone();
                codes[rows - 2] = bad;
                let error = fill(&codes).expect_err("a code without a value");
                assert_eq!(error, BadCode { column: 0, row: rows - 2, code: bad, values: count as u32 });
            }
        }
    }
}
