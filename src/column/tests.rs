use std::sync::Arc;

use arrow_array::{Float64Array, Int16Array, StringArray, TimestampMillisecondArray};

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
fn columns_are_the_same_where_they_are_put_together_in_place() {
    let arrays: [ArrayRef; 7] = [
        Arc::new(Float64Array::from(vec![Some(1.5), None])),
        Arc::new(Float64Array::from(vec![1.5])),
        Arc::new(Int64Array::from(vec![Some(1), None])),
        Arc::new(TimestampNanosecondArray::from(vec![Some(1), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("UTC")),
        Arc::new(TimestampMillisecondArray::from(vec![1, 2])),
        dictionary(vec![Some(2), None]),
    ];
    for array in &arrays {
        let mut columns = Vec::new();
        Column::push(array, &mut columns).expect("a column");
        assert_eq!(format!("{columns:?}"), format!("{:?}", [Column::bind(array).expect("a column")]));
    }
    let unknown: ArrayRef = Arc::new(arrow_array::NullArray::new(2));
    assert!(Column::push(&unknown, &mut Vec::new()).is_none());
}
