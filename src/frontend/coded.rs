//! Codes with the values that they stand for, as dictionary arrays: what Polars calls categoricals and enums.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowDictionaryKeyType, UInt8Type, UInt16Type, UInt32Type};
use arrow_array::{Array, ArrayRef, DictionaryArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use crate::simd::{also_for_avx2, prefetch_ahead};

/// What the codes of some columns stand for, by the columns' indices.
#[doc(hidden)]
pub type Dictionaries = HashMap<usize, ArrayRef>;

/// Whether these are codes, without nulls, of values of which none is null. Such a column need not become a dictionary
/// array to be written: the encoder looks at every code, and then it is in the caches.
#[doc(hidden)]
pub fn may_be_bare(codes: &ArrayRef, values: &ArrayRef) -> bool {
    let are_codes = matches!(codes.data_type(), DataType::UInt8 | DataType::UInt16 | DataType::UInt32);
    are_codes && codes.null_count() == 0 && values.null_count() == 0
}

/// Whether two dictionaries are one in memory. Others may be equal, too: nobody looks at the values.
pub(crate) fn are_same(one: &ArrayRef, other: &ArrayRef) -> bool {
    Arc::ptr_eq(one, other) || one.to_data().ptr_eq(&other.to_data())
}

/// A batch of these columns under this schema, but for those that are bare codes.
#[doc(hidden)]
pub fn coded_batch(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, ArrowError> {
    let is_planned = |(field, column): (&Arc<Field>, &ArrayRef)| field.data_type() == column.data_type();
    let schema = match schema.fields().iter().zip(&columns).all(is_planned) {
        true => schema,
        false => {
            let fields = schema.fields().iter().zip(&columns);
            let fields =
                fields.map(|(field, column)| field.as_ref().clone().with_data_type(column.data_type().clone()));
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        }
    };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options)
}

/// A dictionary array of these codes; every code is checked to have a value, those of nulls aside.
///
/// arrow's own check looks at one code at a time, which took an eighth of the time to encode ten symbols and ten numbers
/// a row.
#[doc(hidden)]
pub fn coded(codes: &ArrayRef, values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match codes.data_type() {
        DataType::UInt8 => dictionary::<UInt8Type>(codes, values, |codes| u32::from(greatest_u8(codes))),
        DataType::UInt16 => dictionary::<UInt16Type>(codes, values, |codes| u32::from(greatest_u16(codes))),
        DataType::UInt32 => dictionary::<UInt32Type>(codes, values, greatest_u32),
        other => Err(ArrowError::SchemaError(format!("category codes of type {other}"))),
    }
}

fn dictionary<K: ArrowDictionaryKeyType>(
    codes: &ArrayRef,
    values: &ArrayRef,
    greatest: fn(&[K::Native]) -> u32,
) -> Result<ArrayRef, ArrowError> {
    let (codes, values) = (codes.as_primitive::<K>().clone(), values.clone());
    if greatest(codes.values()) as usize >= values.len() {
        // Nulls may have any code, so this need not be an error.
        return Ok(Arc::new(DictionaryArray::try_new(codes, values)?));
    }
    // SAFETY: no code, which is unsigned, is beyond the values.
    Ok(Arc::new(unsafe { DictionaryArray::new_unchecked(codes, values) }))
}

also_for_avx2! {
    fn greatest_u8(codes: &[u8]) -> u8 = greatest_any
}

also_for_avx2! {
    fn greatest_u16(codes: &[u16]) -> u16 = greatest_any
}

also_for_avx2! {
    fn greatest_u32(codes: &[u32]) -> u32 = greatest_any
}

/// The greatest code, 0 of none.
#[inline(always)]
fn greatest_any<T: Copy + Ord + Default>(codes: &[T]) -> T {
    // A cache line of the widest codes.
    const GROUP: usize = 16;
    let (groups, rest) = codes.as_chunks::<GROUP>();
    let mut greatest = [T::default(); GROUP];
    for (i, group) in groups.iter().enumerate() {
        prefetch_ahead(groups, i);
        for (greatest, code) in greatest.iter_mut().zip(group) {
            *greatest = (*greatest).max(*code);
        }
    }
    greatest.iter().chain(rest).fold(T::default(), |greatest, code| greatest.max(*code))
}

#[cfg(test)]
mod tests {
    use arrow_array::{StringArray, UInt8Array, UInt16Array, UInt32Array};
    use arrow_buffer::NullBuffer;

    use super::*;

    #[test]
    fn codes_without_a_value_are_refused_wherever_they_stand() {
        let values: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        for rows in [1, 2, 15, 16, 17, 63, 64, 65, 128, 1_000] {
            for bad in [0, rows / 2, rows - 1] {
                let fine: Vec<u8> = (0..rows).map(|row| (row % 3) as u8).collect();
                let mut wrong = fine.clone();
                wrong[bad] = 3;
                let valid = NullBuffer::from_iter((0..rows).map(|row| row != bad));
                for (codes, is_fine) in [(&fine, true), (&wrong, false)] {
                    let wide = codes.iter().map(|code| u16::from(*code)).collect::<Vec<_>>();
                    let wider = codes.iter().map(|code| u32::from(*code)).collect::<Vec<_>>();
                    let arrays: [[ArrayRef; 2]; 3] = [
                        [None, Some(valid.clone())]
                            .map(|nulls| Arc::new(UInt8Array::new(codes.clone().into(), nulls)) as _),
                        [None, Some(valid.clone())]
                            .map(|nulls| Arc::new(UInt16Array::new(wide.clone().into(), nulls)) as _),
                        [None, Some(valid.clone())]
                            .map(|nulls| Arc::new(UInt32Array::new(wider.clone().into(), nulls)) as _),
                    ];
                    for [all, but_one] in arrays {
                        let made = coded(&all, &values);
                        assert_eq!(made.is_ok(), is_fine, "{rows} rows, {bad}, {}", all.data_type());
                        if let Ok(made) = made {
                            made.to_data().validate_full().expect("codes within the values");
                        }
                        // A null has no value, whatever its code.
                        coded(&but_one, &values).expect("valid but for a null").to_data().validate_full().expect("so");
                    }
                }
            }
        }
        let none: ArrayRef = Arc::new(UInt32Array::from(Vec::<u32>::new()));
        let no_values: ArrayRef = Arc::new(StringArray::from(Vec::<&str>::new()));
        assert_eq!(coded(&none, &no_values).expect("nothing of nothing").len(), 0);
        let signed: ArrayRef = Arc::new(arrow_array::Int8Array::from(vec![0]));
        assert!(coded(&signed, &values).is_err());
    }
}
