//! Writes into a real QuestDB and reads back what it stored.
//!
//! Run by `make test-rust`, or by `QUESTFRAME_PYTHON=.venv/bin/python cargo test --test live`. Without that variable
//! there is no server: the tests say so once and check nothing.

#[path = "support/questdb.rs"]
mod questdb;

use std::ops::Range;
use std::sync::Arc;

use questdb::questdb;
use questframe::arrow::array::types::Int8Type;
use questframe::arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, NullArray, RecordBatch, RecordBatchIterator,
    StringArray, TimestampMicrosecondArray, TimestampNanosecondArray, UInt16Array,
};
use questframe::{At, Client, Create, ErrorKind, NullBool, ProtocolVersion, Symbols, WriteOptions};

/// 2025-01-02T03:04:05Z in microseconds.
const START: i64 = 1_735_787_045_000_000;

fn array(array: impl questframe::arrow::array::Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn micros(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    array(TimestampMicrosecondArray::from_iter_values(values))
}

fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true))).expect("a batch")
}

/// A frame of this many rows, sorted by time: `symbol`, `price`, `n` (the row's number) and `ts`.
fn trades(rows: i64) -> RecordBatch {
    let symbol: DictionaryArray<Int8Type> =
        (0..rows).map(|row| ["BTC-USD", "ETH-USD", "a b"][row as usize % 3]).collect();
    batch([
        ("symbol", array(symbol)),
        ("price", array(Float64Array::from_iter_values((0..rows).map(|row| row as f64 / 8.0)))),
        ("n", array(Int64Array::from_iter_values(0..rows))),
        ("ts", micros((0..rows).map(|row| START + row))),
    ])
}

/// Options by which only the server finds out that a value does not fit its column.
fn unchecked(table: &str) -> WriteOptions {
    WriteOptions::table(table).at("ts").check(false)
}

fn total(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|range| range.end - range.start).sum()
}

#[test]
fn values_are_stored_as_they_are() {
    let Some(db) = questdb() else { return };
    let symbols: DictionaryArray<Int8Type> = [Some("ETH-USD"), None, Some("a b,c=\\d é\n")].into_iter().collect();
    let frame = batch([
        ("side", array(symbols)),
        ("price", array(Float64Array::from(vec![Some(0.1), Some(f64::NAN), None]))),
        ("size", array(Int64Array::from(vec![Some(i64::MAX), None, Some(-1)]))),
        ("small", array(UInt16Array::from(vec![Some(u16::MAX), Some(0), None]))),
        ("flag", array(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("note", array(StringArray::from(vec![Some("say \"hi\"\\\n"), Some(""), None]))),
        ("seen", array(TimestampNanosecondArray::from(vec![Some(-1), None, Some(1_500)]))),
        ("nothing", array(NullArray::new(3))),
        ("ts", micros([START, START + 1, START + 2])),
    ]);
    let client = Client::from_conf(db.conf()).expect("a client");
    for version in [ProtocolVersion::V1, ProtocolVersion::V2, ProtocolVersion::V3] {
        let table = format!("values_{version}");
        // The table that ILP itself makes of the bytes as they are.
        let options = unchecked(&table).null_bool(NullBool::False).protocol_version(version);
        let report = client.write(&frame, &options).expect("a report");
        assert_eq!((report.rows, report.requests, report.protocol_version), (3, 1, version));
        assert_eq!(report.columns[4].nulls, 1);

        let stored = db.read(&table, &format!("select * from {table} order by timestamp"));
        let nanos = version > ProtocolVersion::V1;
        let columns = [
            ("side", "SYMBOL"),
            ("price", "DOUBLE"),
            ("size", "LONG"),
            ("small", "LONG"),
            ("flag", "BOOLEAN"),
            ("note", "VARCHAR"),
            ("seen", if nanos { "TIMESTAMP_NS" } else { "TIMESTAMP" }),
            ("timestamp", "TIMESTAMP"),
        ];
        assert_eq!(stored.columns, columns.map(|(name, kind)| (name.to_owned(), kind.to_owned())), "{version}");
        let seen = match nanos {
            true => ["1969-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00.000001500Z"],
            // Version 1 cuts nanoseconds off.
            false => ["1970-01-01T00:00:00.000000Z", "1970-01-01T00:00:00.000001Z"],
        };
        let expected = [
            [
                "ETH-USD",
                "0.1",
                "9223372036854775807",
                "65535",
                "true",
                "say \"hi\"\\\n",
                seen[0],
                "2025-01-02T03:04:05.000000Z",
            ],
            ["null", "null", "null", "0", "false", "", "null", "2025-01-02T03:04:05.000001Z"],
            ["a b,c=\\d é\n", "null", "-1", "null", "false", "null", seen[1], "2025-01-02T03:04:05.000002Z"],
        ];
        assert_eq!(stored.rows, expected, "{version}");
    }
}

#[test]
fn the_first_write_creates_the_table_and_the_second_finds_it() {
    let Some(db) = questdb() else { return };
    let client = Client::from_conf(db.conf()).expect("a client");
    let options = WriteOptions::table("created").at("ts");
    let frame = trades(10);
    assert!(client.write(&frame, &options).expect("a report").created);
    let report = client.write(&frame, &options).expect("a report");
    assert!(!report.created);
    assert_eq!(report.at.as_deref(), Some("ts"));
    // A client that has not seen the table asks for it.
    let other = Client::from_conf(db.conf()).expect("a client");
    assert!(!other.write(&frame, &options).expect("a report").created);
    assert_eq!(db.count("created"), 30);
}

#[test]
fn the_servers_clock_stamps_rows() {
    let Some(db) = questdb() else { return };
    let client = Client::from_conf(db.conf()).expect("a client");
    let frame = batch([("n", array(Int64Array::from(vec![1, 2, 3])))]);
    client.write(&frame, &WriteOptions::table("clock").at(At::Server)).expect("a report");
    let stored = db.read("clock", "select count(), min(timestamp) > '2025-01-01' from clock");
    assert_eq!(stored.rows, [["3", "true"]]);
}

#[test]
fn requests_of_a_sorted_frame_fly_together() {
    let Some(db) = questdb() else { return };
    const ROWS: i64 = 60_000;
    let client = Client::from_conf(&format!("{}auto_flush_rows=3000;connections=2;", db.conf())).expect("a client");
    let report = client.write(&trades(ROWS), &WriteOptions::table("together").at("ts")).expect("a report");
    assert_eq!((report.rows, report.requests, report.in_flight), (ROWS as u64, 20, 2));
    let stored = db.read("together", "select count(), sum(n), count_distinct(n), max(ts) from together");
    let sum = (ROWS * (ROWS - 1) / 2).to_string();
    assert_eq!(stored.rows, [["60000", &sum, "60000", "2025-01-02T03:04:05.059999Z"]]);
}

#[test]
fn requests_of_a_large_frame_are_as_large_as_they_may_be() {
    let Some(db) = questdb() else { return };
    const ROWS: i64 = 150_000;
    let client = Client::from_conf(db.conf()).expect("a client");
    let report = client.write(&trades(ROWS), &WriteOptions::table("large").at("ts")).expect("a report");
    // Twice as many as connections, so that both have work until the end.
    assert!((2..=5).contains(&report.requests), "{report}");
    assert_eq!((report.rows, db.count("large")), (ROWS as u64, ROWS as u64));
}

#[test]
fn the_last_row_of_a_key_wins_across_requests() {
    let Some(db) = questdb() else { return };
    db.sql("create table latest (n long, ts timestamp) timestamp(ts) partition by day wal dedup upsert keys(ts)");
    // Ten keys again and again: every request meets all others, so they must go one after the other.
    let rows = 20_000;
    let frame = batch([
        ("n", array(Int64Array::from_iter_values(0..rows))),
        ("ts", micros((0..rows).map(|row| START + row % 10))),
    ]);
    let client = Client::from_conf(&format!("{}auto_flush_rows=1001;connections=4;", db.conf())).expect("a client");
    let report = client.write(&frame, &WriteOptions::table("latest").at("ts")).expect("a report");
    assert_eq!((report.requests, report.in_flight), (20, 1));
    let stored = db.read("latest", "select n from latest order by ts");
    let expected: Vec<_> = (rows - 10..rows).map(|n| vec![n.to_string()]).collect();
    assert_eq!(stored.rows, expected);
}

#[test]
fn a_refused_request_names_row_and_column_and_what_was_stored() {
    let Some(db) = questdb() else { return };
    db.sql("create table refused (id uuid, ts timestamp) timestamp(ts) partition by day wal");
    const ROWS: usize = 20_000;
    const BAD: usize = 12_345;
    let ids = (0..ROWS).map(|row| match row {
        BAD => "not a UUID".to_owned(),
        row => format!("a0eebc99-9c0b-4ef8-bb6d-{row:012x}"),
    });
    let frame = batch([
        ("id", array(StringArray::from_iter_values(ids))),
        ("ts", micros((0..ROWS as i64).map(|row| START + row))),
    ]);
    let client = Client::from_conf(&format!("{}auto_flush_rows=1000;", db.conf())).expect("a client");
    let error = client.write(&frame, &unchecked("refused")).expect_err("a bad UUID");
    assert_eq!(error.kind(), ErrorKind::ServerFlushError, "{error}");
    assert_eq!((error.table(), error.column(), error.row()), (Some("refused"), Some("id"), Some(BAD as u64)));
    assert!(error.server_message().is_some_and(|message| message.contains("cast error")), "{error}");
    assert!(error.error_id().is_some(), "{error}");

    let delivery = error.delivery();
    assert!(!error.in_doubt(), "{error}");
    assert!(delivery.unsent.iter().any(|range| range.start == 12_000), "{error}");
    assert_eq!(total(&delivery.acked) + total(&delivery.unsent), ROWS as u64, "{error}");
    // All before it has been sent, and one request beside it at most.
    assert_eq!(delivery.acked.first(), Some(&(0..12_000)), "{error}");
    assert_eq!(db.count("refused"), delivery.rows_acked());
}

#[test]
fn a_stream_that_changes_its_schema_ends_there() {
    let Some(db) = questdb() else { return };
    let sound = batch([("n", array(Int64Array::from(vec![1, 2, 3]))), ("ts", micros([START, START + 1, START + 2]))]);
    let other = batch([("n", array(StringArray::from(vec!["4"]))), ("ts", micros([START + 3]))]);
    let schema = sound.schema();
    let stream = RecordBatchIterator::new([Ok(sound), Ok(other)], schema);
    let client = Client::from_conf(db.conf()).expect("a client");
    let error = client.write(stream, &WriteOptions::table("changed").at("ts")).expect_err("another type");
    assert_eq!((error.kind(), error.column(), error.row()), (ErrorKind::BadDataFrame, Some("n"), Some(3)), "{error}");
    assert_eq!(error.delivery().acked.first(), Some(&(0..3)), "{error}");
    assert_eq!(db.count("changed"), 3);
}

#[test]
fn rows_left_out_do_not_shift_the_row_of_an_error() {
    let Some(db) = questdb() else { return };
    db.sql("create table shifted (id uuid, ts timestamp) timestamp(ts) partition by day wal");
    let ids = [None, Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), None, Some("not a UUID"), None];
    let frame = batch([("id", array(StringArray::from(ids.to_vec()))), ("ts", micros((0..5).map(|row| START + row)))]);
    let client = Client::from_conf(db.conf()).expect("a client");
    let options = unchecked("shifted").empty_rows(questframe::EmptyRows::Skip);
    let error = client.write(&frame, &options).expect_err("a bad UUID");
    assert_eq!((error.column(), error.row()), (Some("id"), Some(3)), "{error}");
    assert_eq!(error.delivery().unsent.first(), Some(&(0..5)), "{error}");
}

#[test]
fn a_stopped_write_tells_what_was_stored() {
    let Some(db) = questdb() else { return };
    const ROWS: i64 = 50_000;
    let client = Client::from_conf(&format!("{}auto_flush_rows=500;", db.conf())).expect("a client");
    let error = client
        .write_with_progress(&trades(ROWS), &WriteOptions::table("stopped").at("ts"), |progress| {
            assert_eq!(progress.total_rows, Some(ROWS as u64));
            if progress.rows >= 1_000 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
        })
        .expect_err("a stop");
    assert!(error.is_interrupted(), "{error}");
    let delivery = error.delivery();
    let known = total(&delivery.acked) + total(&delivery.doubtful) + total(&delivery.unsent);
    assert_eq!(known, ROWS as u64, "{error}");
    assert!(delivery.rows_acked() >= 1_000 && !delivery.unsent.is_empty(), "{error}");
    let stored = db.count("stopped");
    let least = delivery.rows_acked();
    assert!((least..=least + total(&delivery.doubtful)).contains(&stored), "{stored} rows: {error}");
    // The client goes on as if nothing had been.
    assert_eq!(client.write(&trades(10), &WriteOptions::table("stopped").at("ts")).expect("a report").rows, 10);
}

#[test]
fn the_server_answers_for_itself() {
    let Some(db) = questdb() else { return };
    let client = Client::from_conf(db.conf()).expect("a client");
    assert!(client.ping().expect("a time").as_nanos() > 0);
    let info = client.server_info().expect("an answer of /settings");
    assert!(
        info.release.as_deref().is_some_and(|release| release.starts_with(|c: char| c.is_ascii_digit())),
        "{info:?}"
    );
    assert_eq!(info.protocol_versions, [1, 2, 3]);
    assert_eq!(info.max_name_len, Some(127));
}

#[test]
fn the_plan_knows_the_table() {
    let Some(db) = questdb() else { return };
    db.sql(
        "create table planned (symbol symbol, price float, moment timestamp_ns, extra int)
         timestamp(moment) partition by hour wal",
    );
    let frame = batch([
        ("symbol", array(StringArray::from(vec!["a"]))),
        ("PRICE", array(Float64Array::from(vec![1.5]))),
        ("received", micros([START + 1])),
        ("moment", micros([START])),
    ]);
    let client = Client::from_conf(db.conf()).expect("a client");
    // Two columns are timestamps; the table says which one is meant.
    let options = WriteOptions::table("planned").symbols(Symbols::All);
    let plan = client.plan(&frame.schema(), &options).expect("a plan");
    assert_eq!((plan.at(), plan.protocol_version()), (Some("moment"), ProtocolVersion::V3));
    let columns: Vec<_> = plan.columns().into_iter().map(|column| (column.role, column.questdb_type)).collect();
    let expected =
        [("symbol", "SYMBOL"), ("field", "FLOAT"), ("field", "TIMESTAMP"), ("designated timestamp", "TIMESTAMP_NS")];
    assert_eq!(columns, expected.map(|(role, kind)| (role, kind.to_owned())));
    assert!(plan.to_string().contains("exists, designated timestamp \"moment\""), "{plan}");

    let report = client.write(&frame, &options).expect("a report");
    assert_eq!((report.at.as_deref(), report.created), (Some("moment"), false));
    let stored = db.read("planned", "select symbol, price, extra, received, moment from planned");
    let expected = ["a", "1.5", "null", "2025-01-02T03:04:05.000001Z", "2025-01-02T03:04:05.000000000Z"];
    assert_eq!(stored.rows, [expected]);
}

#[test]
fn several_timestamps_are_an_error_where_no_table_says_which() {
    let Some(db) = questdb() else { return };
    let client = Client::from_conf(db.conf()).expect("a client");
    let frame = batch([("n", array(Int64Array::from(vec![1]))), ("a", micros([START])), ("b", micros([START]))]);
    let error = client.write(&frame, &WriteOptions::table("nowhere")).expect_err("two candidates");
    assert!(error.to_string().contains("\"a\", \"b\""), "{error}");
    assert!(db.sql("select table_name from tables() where table_name = 'nowhere'").rows.is_empty());
}

#[test]
fn a_column_that_would_override_the_timestamp_is_refused() {
    let Some(db) = questdb() else { return };
    db.sql("create table shadowed (n long, moment timestamp) timestamp(moment) partition by day wal");
    let client = Client::from_conf(db.conf()).expect("a client");
    let frame =
        batch([("n", array(Int64Array::from(vec![1]))), ("Moment", micros([START])), ("ts", micros([START + 1]))]);
    let error = client.write(&frame, &WriteOptions::table("shadowed").at("ts")).expect_err("a refusal");
    assert_eq!((error.kind(), error.column()), (ErrorKind::InvalidApiCall, Some("Moment")), "{error}");
    // In a table that the server creates it is the name `timestamp`.
    let frame = batch([("timestamp", micros([START])), ("ts", micros([START + 1]))]);
    let error = client
        .write(&frame, &WriteOptions::table("shadowed_too").at("ts").create(Create::Server))
        .expect_err("a refusal");
    assert_eq!(error.column(), Some("timestamp"), "{error}");
    assert_eq!(db.count("shadowed"), 0);
}
