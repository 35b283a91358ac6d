//! Small batches of a frame put together, so that a block has enough rows.
//!
//! Beside its rows a batch costs five thousand instructions, as many as fifty rows do, and waiting for its parts, which lie
//! anywhere. To copy its values behind those of the last one costs a third of that, as long as they are few: what
//! follows is asked for while the rows of the last block are written. So small batches of numbers, instants and
//! dictionaries, in memory or of a stream, are copied until there are enough rows for a block; all others are read where
//! they are (`make bench-growth GROWTH_PARTS=chunks`).

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::ArrowDictionaryKeyType;
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, DictionaryArray, PrimitiveArray, RecordBatch, RecordBatchOptions,
    downcast_integer, downcast_primitive,
};
use arrow_buffer::{Buffer, MutableBuffer, NullBuffer, NullBufferBuilder, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, SchemaRef};

use crate::frontend::{are_same, coded};
use crate::simd::prefetch_value;

/// The most rows of a small batch, and the most bytes of its values: copies of more cost what they gain.
const SMALL_ROWS: usize = 256;
const SMALL_BYTES: usize = 6 << 10;

/// The most rows and bytes that are put together: two of the encoder's longest blocks, and not beyond the second cache level.
const ROWS: usize = 4096;
const BYTES: usize = 256 << 10;

/// After so many batches that could not be followed by the next one all are read where they are.
const MOST_ALONE: usize = 4;

/// How many batches ahead of the one whose values are asked for its arrays are; the list of them twice as many.
const AHEAD: usize = 4;

/// Batches that are put together, to be read as one.
#[derive(Debug, Default)]
pub(super) struct Gather {
    /// Of the last small batch.
    schema: Option<SchemaRef>,
    /// Its columns; none if they are of other types than can be put together.
    columns: Option<Vec<Joined>>,
    /// How many of its batches could not be followed by the next one.
    alone: usize,
    rows: usize,
    batches: usize,
    bytes_per_row: usize,
}

/// What there is of a column, one batch's values behind the other's.
#[derive(Debug)]
struct Joined {
    parts: Parts,
    memory: MutableBuffer,
    nulls: NullBufferBuilder,
    dictionary: Option<ArrayRef>,
    /// The memory of what was taken last.
    taken: Option<Buffer>,
}

/// How arrays of one type are taken apart and made. Found once: many small batches feel a `match` on the type for each array.
#[derive(Clone, Copy, Debug)]
struct Parts {
    width: usize,
    /// `None` of an array of another type.
    of: for<'a> fn(&'a dyn Array) -> Option<Part<'a>>,
    whole: fn(Whole<'_>) -> Result<ArrayRef, ArrowError>,
}

/// What an array has.
struct Part<'a> {
    /// Its values; of a dictionary the codes.
    memory: &'a [u8],
    nulls: Option<&'a NullBuffer>,
    dictionary: Option<&'a ArrayRef>,
}

/// What makes an array.
struct Whole<'a> {
    memory: Buffer,
    count: usize,
    nulls: Option<NullBuffer>,
    dictionary: Option<&'a ArrayRef>,
    data_type: &'a DataType,
}

impl Parts {
    fn new(data_type: &DataType) -> Option<Self> {
        macro_rules! parts {
            ($type:ty, $of:ident, $whole:ident) => {
                Some(Self {
                    width: size_of::<<$type as ArrowPrimitiveType>::Native>(),
                    of: $of::<$type>,
                    whole: $whole::<$type>,
                })
            };
        }
        match data_type {
            DataType::Dictionary(codes, _) => downcast_integer! {
                codes.as_ref() => (parts, dictionary, whole_dictionary),
                _ => None
            },
            other => downcast_primitive! {
                other => (parts, primitive, whole_primitive),
                _ => None
            },
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> Option<Part<'_>> {
    let array = array.as_primitive_opt::<T>()?;
    // Their memory may end with a part of a value.
    let memory = array.values().inner().as_slice().get(..size_of_val(&**array.values()))?;
    Some(Part { memory, nulls: array.nulls(), dictionary: None })
}

fn dictionary<K: ArrowDictionaryKeyType>(array: &dyn Array) -> Option<Part<'_>> {
    let array = array.as_dictionary_opt::<K>()?;
    Some(Part { dictionary: Some(array.values()), ..primitive::<K>(array.keys())? })
}

fn values_of<T: ArrowPrimitiveType>(whole: &Whole<'_>) -> Result<PrimitiveArray<T>, ArrowError> {
    PrimitiveArray::try_new(ScalarBuffer::new(whole.memory.clone(), 0, whole.count), whole.nulls.clone())
}

fn whole_primitive<T: ArrowPrimitiveType>(whole: Whole<'_>) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(values_of::<T>(&whole)?.with_data_type(whole.data_type.clone())))
}

fn whole_dictionary<K: ArrowDictionaryKeyType>(whole: Whole<'_>) -> Result<ArrayRef, ArrowError> {
    let codes = values_of::<K>(&whole)?;
    let Some(values) = whole.dictionary else { return Ok(Arc::new(codes)) };
    match K::DATA_TYPE {
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => coded(&(Arc::new(codes) as ArrayRef), values),
        _ => Ok(Arc::new(DictionaryArray::try_new(codes, Arc::clone(values))?)),
    }
}

impl Gather {
    /// How many rows it holds.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether there are enough rows.
    pub(super) fn is_full(&self) -> bool {
        self.rows + SMALL_ROWS > ROWS || self.rows * self.bytes_per_row > BYTES
    }

    /// Copies a batch behind those that are there. Not the first small one, since there may be no other; none that is
    /// large, and none of another schema or with another dictionary than those that are there: then nothing is done, and
    /// false the answer.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> bool {
        let rows = batch.num_rows();
        if rows > SMALL_ROWS {
            return false;
        }
        if !self.schema.as_ref().is_some_and(|known| Arc::ptr_eq(known, batch.schema_ref())) {
            if self.rows == 0 {
                self.schema = Some(batch.schema());
                self.columns = None;
                self.bytes_per_row = 0;
                self.alone = 0;
            }
            return false;
        }
        if self.bytes_per_row == 0 {
            self.begin(batch);
        }
        let is_small = rows * self.bytes_per_row <= SMALL_BYTES;
        let Some(columns) = self.columns.as_mut().filter(|_| is_small && self.alone < MOST_ALONE) else { return false };
        let is_first = self.rows == 0;
        if !columns.iter_mut().zip(batch.columns()).all(|(joined, array)| joined.fits(array, is_first)) {
            // That is what comes of dictionaries of their own.
            self.alone += usize::from(self.batches == 1);
            return false;
        }
        columns.iter_mut().zip(batch.columns()).for_each(|(joined, array)| joined.push(array));
        self.rows += rows;
        self.batches += 1;
        true
    }

    /// Finds out whether the columns of its schema can be put together.
    fn begin(&mut self, batch: &RecordBatch) {
        let fields = batch.schema_ref().fields();
        let parts = fields.iter().map(|field| Parts::new(field.data_type())).collect::<Option<Vec<_>>>();
        self.bytes_per_row = parts.iter().flatten().map(|parts| parts.width).sum::<usize>().max(1);
        let room = ROWS.min(BYTES / self.bytes_per_row + SMALL_ROWS);
        self.columns = parts.map(|parts| parts.into_iter().map(|parts| Joined::new(parts, room)).collect());
    }

    /// What was put together, as one batch; nothing is left.
    ///
    /// # Errors
    /// If a code has no value.
    pub(super) fn take(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        self.batches = 0;
        let (Some(schema), Some(columns), 1..) = (&self.schema, &mut self.columns, rows) else { return Ok(None) };
        let arrays = columns.iter_mut().zip(schema.fields());
        let arrays: Result<Vec<_>, _> = arrays.map(|(joined, field)| joined.take(field.data_type(), rows)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(schema), arrays?, &options).map(Some)
    }

    /// Makes use of the memory of what was taken, once that is gone.
    pub(super) fn recycle(&mut self) {
        for joined in self.columns.iter_mut().flatten() {
            if let Some(Ok(mut memory)) = joined.taken.take().map(Buffer::into_mutable) {
                memory.clear();
                joined.memory = memory;
            }
        }
    }

    /// The memory that will be copied of the batches that come next, of as many as will be put together.
    pub(super) fn memory<'b>(&'b self, later: &'b [RecordBatch]) -> impl Iterator<Item = &'b [u8]> {
        let mut rows = 0;
        let next = later.iter().enumerate().take_while(move |(_, batch)| {
            rows += batch.num_rows();
            batch.num_rows() <= SMALL_ROWS && rows <= ROWS
        });
        next.flat_map(move |(place, batch)| {
            if let Some(later) = later.get(place + 2 * AHEAD) {
                prefetch_value(later.columns());
            }
            let later = later.get(place + AHEAD).map(RecordBatch::columns).unwrap_or_default();
            later.iter().for_each(|array| prefetch_value(&**array));
            let arrays = self.columns.iter().flatten().zip(batch.columns());
            arrays.filter_map(|(joined, array)| (joined.parts.of)(array)).map(|part| part.memory)
        })
    }
}

impl Joined {
    /// With room for so many rows.
    fn new(parts: Parts, room: usize) -> Self {
        let memory = MutableBuffer::new(room * parts.width);
        Self { parts, memory, nulls: NullBufferBuilder::new(room), dictionary: None, taken: None }
    }

    /// Whether an array can go behind what is there.
    fn fits(&mut self, array: &ArrayRef, is_first: bool) -> bool {
        let Some(part) = (self.parts.of)(array) else { return false };
        match (part.dictionary, &self.dictionary) {
            (None, _) => true,
            (Some(new), Some(known)) if are_same(new, known) => true,
            (Some(new), _) => {
                if is_first {
                    self.dictionary = Some(Arc::clone(new));
                }
                is_first
            }
        }
    }

    fn push(&mut self, array: &ArrayRef) {
        let Some(part) = (self.parts.of)(array) else { return };
        self.memory.extend_from_slice(part.memory);
        match part.nulls {
            Some(nulls) => self.nulls.append_buffer(nulls),
            None => self.nulls.append_n_non_nulls(array.len()),
        }
    }

    fn take(&mut self, data_type: &DataType, count: usize) -> Result<ArrayRef, ArrowError> {
        let memory = Buffer::from(std::mem::take(&mut self.memory));
        self.taken = Some(memory.clone());
        let (nulls, dictionary) = (self.nulls.finish(), self.dictionary.as_ref());
        (self.parts.whole)(Whole { memory, count, nulls, dictionary, data_type })
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::{Int8Type, UInt16Type};
    use arrow_array::{
        Decimal128Array, Float64Array, Int32Array, RecordBatchIterator, StringArray, TimestampMicrosecondArray,
    };
    use arrow_select::concat::concat_batches;

    use super::*;
    use crate::{At, WriteOptions, to_ilp};

    /// A frame of each kind of column that is put together, with nulls.
    fn frame(rows: usize) -> RecordBatch {
        let some = |row: usize| (row % 7 != 3).then_some(row);
        let names = StringArray::from(vec!["a", "b c", "d"]);
        let codes = |row: usize| some(row).map(|row| row % 3);
        let signed = (0..rows).map(|row| codes(row).map(|code| code as i8)).collect::<PrimitiveArray<Int8Type>>();
        let unsigned = (0..rows).map(|row| (row % 3) as u16).collect::<PrimitiveArray<UInt16Type>>();
        let names: ArrayRef = Arc::new(names);
        let decimals = Decimal128Array::from_iter((0..rows).map(|row| some(row).map(|row| row as i128)));
        let columns: [(&str, ArrayRef); 6] = [
            ("signed", Arc::new(DictionaryArray::new(signed, Arc::clone(&names)))),
            ("unsigned", Arc::new(DictionaryArray::new(unsigned, names))),
            ("float", Arc::new(Float64Array::from_iter_values((0..rows).map(|row| row as f64 / 8.0)))),
            ("integer", Arc::new(Int32Array::from_iter((0..rows).map(|row| some(row).map(|row| row as i32))))),
            ("decimal", Arc::new(decimals.with_precision_and_scale(12, 2).expect("a decimal"))),
            ("at", Arc::new(TimestampMicrosecondArray::from_iter_values((0..rows).map(|row| row as i64)))),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).expect("a frame")
    }

    /// The frame in batches of these rows, the last ones over and over.
    fn cut(frame: &RecordBatch, sizes: &[usize]) -> Vec<RecordBatch> {
        let (mut start, mut batches) = (0, Vec::new());
        for size in sizes.iter().copied().chain(std::iter::repeat(sizes[sizes.len() - 1])) {
            let size = size.min(frame.num_rows() - start);
            batches.push(frame.slice(start, size));
            start += size;
            if start == frame.num_rows() {
                return batches;
            }
        }
        unreachable!("sizes repeat")
    }

    #[test]
    fn what_is_put_together_is_what_was_there() {
        let frame = frame(1_000);
        let batches = cut(&frame, &[10, 1, 0, 64, 7, 100]);
        let mut gather = Gather::default();
        assert!(!gather.push(&batches[0]), "there may be no other");
        assert!(batches[1..].iter().all(|batch| gather.push(batch)));
        assert_eq!((gather.rows(), gather.is_full()), (990, false));
        let rest = concat_batches(&frame.schema(), &batches[1..]).expect("of one schema");
        let taken = gather.take().expect("sound").expect("rows");
        assert_eq!(taken, rest);
        // From then on in the same memory.
        let place = taken.column(2).to_data().buffers()[0].as_ptr();
        drop(taken);
        gather.recycle();
        assert!(gather.take().expect("sound").is_none());
        assert!(batches.iter().all(|batch| gather.push(batch)));
        let again = gather.take().expect("sound").expect("rows");
        assert_eq!(again, frame);
        assert_eq!(again.column(2).to_data().buffers()[0].as_ptr(), place);
    }

    #[test]
    fn what_cannot_go_behind_the_others_is_left() {
        let first = frame(100);
        // Of the same schema, with a dictionary of its own.
        let other = RecordBatch::try_new(first.schema(), frame(50).columns().to_vec()).expect("the same types");
        let mut gather = Gather::default();
        assert!(!gather.push(&first) && gather.push(&first));
        assert!(!gather.push(&other));
        assert!(!gather.push(&frame(100)), "another schema");
        assert!(!gather.push(&frame(SMALL_ROWS + 1)));
        assert_eq!(gather.take().expect("sound").expect("rows"), first);
        for _ in 1..MOST_ALONE {
            assert!(gather.push(&other) && !gather.push(&first));
            assert_eq!(gather.take().expect("sound").expect("rows"), other);
        }
        assert!(!gather.push(&other), "they change with each batch");
        // Text is not copied.
        let texts = RecordBatch::try_from_iter([("s", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)]);
        let texts = texts.expect("a frame");
        assert!(!gather.push(&texts) && !gather.push(&texts) && !gather.push(&texts));
        assert_eq!(gather.rows(), 0);
    }

    #[test]
    fn memory_that_ends_with_a_part_of_a_value_is_no_value() {
        let three = |array: ArrayRef| {
            let batch = RecordBatch::try_from_iter([("n", array)]).expect("a frame");
            to_ilp([batch.clone(), batch.clone(), batch].as_slice(), &WriteOptions::table("t").at(At::Server))
        };
        let bytes = Buffer::from(&[1, 0, 0, 0, 2, 0, 0, 0, 9, 9][..]);
        let lines = three(Arc::new(Int32Array::new(bytes.into(), None)));
        assert_eq!(lines.expect("sound"), b"t n=1i\nt n=2i\n".repeat(3));
        let bytes = Buffer::from(&[0_u8; 12][..]);
        let error = three(Arc::new(Float64Array::new(bytes.into(), None))).expect_err("not read in place");
        assert!(error.to_string().contains("copy it first"), "{error}");
    }

    #[test]
    fn lines_are_those_of_the_whole_frame() {
        let frame = frame(9_000);
        let options = WriteOptions::table("t").at("at");
        let whole = to_ilp(&frame, &options).expect("sound");
        for sizes in [&[1][..], &[3, 500, 4], &[255, 256, 257, 1], &[0, 0, 5], &[40], &[900, 30]] {
            let batches = cut(&frame, sizes);
            // Also each with a dictionary of its own, which may be another for each.
            let own = batches.iter().map(|batch| {
                let copy = |array: &ArrayRef| match array.as_any_dictionary_opt() {
                    Some(array) => array.with_values(arrow_array::make_array(array.values().to_data())),
                    None => Arc::clone(array),
                };
                RecordBatch::try_new(frame.schema(), batch.columns().iter().map(copy).collect())
                    .expect("the same types")
            });
            let own: Vec<_> = own.collect();
            for batches in [&batches, &own] {
                let stream = RecordBatchIterator::new(batches.iter().cloned().map(Ok), frame.schema());
                let lines = [to_ilp(batches.as_slice(), &options), to_ilp(stream, &options)];
                assert!(lines.iter().all(|lines| lines.as_ref().is_ok_and(|lines| *lines == whole)), "{sizes:?}");
            }
        }
    }
}
