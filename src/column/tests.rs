use std::sync::Arc;

use arrow_array::{
    DictionaryArray, Float64Array, Int16Array, Int64Array, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray,
};

use super::*;

fn dictionary(keys: Vec<Option<u32>>) -> ArrayRef {
    let values = StringArray::from(vec![Some("a"), None, Some("b")]);
    Arc::new(DictionaryArray::<UInt32Type>::new(keys.into(), Arc::new(values)))
}

#[test]
fn a_row_is_null_by_its_code_or_by_its_value() {
    for (keys, nulls) in [(vec![Some(0), None, Some(1), Some(2)], 2), (vec![Some(2), Some(0)], 0)] {
        let array = dictionary(keys);
        let column = Column::bind(&array).expect("a dictionary");
        assert_eq!((column.null_count(), array.logical_null_count()), (nulls, nulls));
    }
    let array: ArrayRef = Arc::new(Int16Array::from(vec![None, Some(1), None]));
    assert_eq!(Column::bind(&array).expect("integers").null_count(), 2);
}

#[test]
fn columns_are_what_their_arrays_hold() {
    let arrays: [(ArrayRef, &str, usize); 7] = [
        (Arc::new(Float64Array::from(vec![Some(1.5), None])), "Floats(F64([4609434218613702656, 0]))", 1),
        (Arc::new(Float64Array::from(vec![1.5])), "Floats(F64([4609434218613702656]))", 0),
        (Arc::new(Int64Array::from(vec![Some(1), None])), "Integers(I64([1, 0]))", 1),
        (Arc::new(TimestampNanosecondArray::from(vec![Some(1), None])), "Instants(Units([1, 0], 1000000000))", 1),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("UTC")),
            "Instants(Units([1, 2], 1000000))",
            0,
        ),
        (Arc::new(TimestampMillisecondArray::from(vec![1, 2])), "Instants(Units([1, 2], 1000))", 0),
        (dictionary(vec![Some(2), None]), "Dictionary(Keys { codes: U32([2, 0]), nulls: Some", 1),
    ];
    for (array, values, nulls) in &arrays {
        let mut columns = Vec::new();
        Column::push(array, &mut columns).expect("a column");
        let bound = Column::bind(array).expect("a column");
        for column in [&columns[0], &bound] {
            let found = format!("{:?}", column.values);
            assert!(found.starts_with(values), "{found}");
            assert_eq!(column.null_count(), *nulls, "{found}");
        }
    }
    let unknown: ArrayRef = Arc::new(arrow_array::NullArray::new(2));
    assert!(Column::push(&unknown, &mut Vec::new()).is_none());
}
