//! Streams of another major version of arrow-rs come over the C interface, as the crate's documentation shows.

use std::sync::Arc;

use arrow_array_58::ffi_stream::FFI_ArrowArrayStream as OtherStream;
use arrow_array_58::{
    ArrayRef, DictionaryArray, Float64Array, RecordBatch, RecordBatchIterator, TimestampMicrosecondArray,
    types::Int32Type,
};
use questframe::arrow::ffi_stream::{ArrowArrayStreamReader, FFI_ArrowArrayStream};
use questframe::{ProtocolVersion, WriteOptions, to_ilp};

/// Batches of the other version, sliced, with nulls and a dictionary for each.
fn batches() -> Vec<RecordBatch> {
    let batch = |tags: [Option<&str>; 3], start: i64| {
        let tags: DictionaryArray<Int32Type> = tags.into_iter().collect();
        let times = TimestampMicrosecondArray::from_iter_values(start..start + 3);
        RecordBatch::try_from_iter([
            ("tag", Arc::new(tags) as ArrayRef),
            ("x", Arc::new(Float64Array::from(vec![Some(1.5), None, Some(2.5)])) as ArrayRef),
            ("ts", Arc::new(times) as ArrayRef),
        ])
        .expect("columns of three rows")
        .slice(1, 2)
    };
    vec![batch([None, Some("a"), Some("b")], 0), batch([None, Some("d"), None], 10)]
}

#[test]
fn a_stream_of_another_arrow() {
    let batches = batches();
    let schema = batches[0].schema();
    let reader = RecordBatchIterator::new(batches.into_iter().map(Ok), schema);
    let mut stream = OtherStream::new(Box::new(reader));
    let raw = std::ptr::from_mut(&mut stream).cast::<FFI_ArrowArrayStream>();
    // SAFETY: both are the `ArrowArrayStream` of the C interface, and this one is valid.
    let reader = unsafe { ArrowArrayStreamReader::from_raw(raw) }.expect("a stream");
    let options = WriteOptions::table("t").at("ts").protocol_version(ProtocolVersion::V1);
    let lines = to_ilp(reader, &options).expect("lines");
    let expected = "t,tag=a 1000\nt,tag=b x=2.5 2000\nt,tag=d 11000\nt x=2.5 12000\n";
    assert_eq!(String::from_utf8(lines).expect("text"), expected);
}
