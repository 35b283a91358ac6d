//! Headers as they are on disk: what waits there is sent by later versions, too.

use crate::encode::Content;
use crate::options::{NullBool, ProtocolVersion};
use crate::spool::{Header, MadeColumn, MadeFor, Making};
use crate::table_spec::TableSpec;

/// As they were before it was kept what lines were made for.
const FIRST: &str = r#"{"table":"t","protocol_version":2,"rows":3,"at":[-1,5],"statements":["CREATE TABLE t"],"repeatable":true,"written_at_micros":7}"#;

/// One of each form that a part of it has.
const NOW: &str = concat!(
    r#"{"table":"t","protocol_version":3,"rows":3,"at":null,"statements":[],"repeatable":false,"written_at_micros":7,"#,
    r#""made_for":{"columns":["#,
    r#"{"name":"a","column_type":"VARCHAR","content":"Null","is_bound":false},"#,
    r#"{"name":"b","column_type":"SYMBOL","content":"Symbol","is_bound":false},"#,
    r#"{"name":"c","column_type":"UUID","content":"Text","is_bound":true},"#,
    r#"{"name":"d","column_type":"BOOLEAN","content":"Boolean","is_bound":false},"#,
    r#"{"name":"e","column_type":"LONG","content":"Integer","is_bound":false},"#,
    r#"{"name":"f","column_type":"LONG","content":"Time","is_bound":false},"#,
    r#"{"name":"g","column_type":"LONG","content":"Duration","is_bound":false},"#,
    r#"{"name":"h","column_type":"DOUBLE","content":"Float","is_bound":false},"#,
    r#"{"name":"i","column_type":"TIMESTAMP","content":"Micros","is_bound":false},"#,
    r#"{"name":"j","column_type":"TIMESTAMP_NS","content":"Nanos","is_bound":false},"#,
    r#"{"name":"k","column_type":"DECIMAL(18,4)","content":{"Decimal":4},"is_bound":false},"#,
    r#"{"name":"l","column_type":"DOUBLE[][]","content":{"Array":2},"is_bound":false}],"#,
    r#""designated":["ts","TIMESTAMP"],"at":["ts","Micros"],"#,
    r#""create":{"Statement":{"partition_by":"MONTH","dedup_keys":["b"],"types":[["c","UUID"]],"ttl":"2w","#,
    r#""symbol_capacity":[["b",64]],"symbol_index":["b"],"narrow":true}},"#,
    r#""null_bool":"Error","first_row":10}}"#,
);

fn first() -> Header {
    Header {
        table: "t".to_owned(),
        protocol_version: ProtocolVersion::V2,
        rows: 3,
        at: Some((-1, 5)),
        statements: vec!["CREATE TABLE t".to_owned()],
        repeatable: true,
        written_at_micros: 7,
        made_for: None,
    }
}

fn now() -> Header {
    let columns = [
        ("a", "VARCHAR", Content::Null),
        ("b", "SYMBOL", Content::Symbol),
        ("c", "UUID", Content::Text),
        ("d", "BOOLEAN", Content::Boolean),
        ("e", "LONG", Content::Integer),
        ("f", "LONG", Content::Time),
        ("g", "LONG", Content::Duration),
        ("h", "DOUBLE", Content::Float),
        ("i", "TIMESTAMP", Content::Micros),
        ("j", "TIMESTAMP_NS", Content::Nanos),
        ("k", "DECIMAL(18,4)", Content::Decimal(4)),
        ("l", "DOUBLE[][]", Content::Array(2)),
    ];
    let columns = columns.map(|(name, column_type, content)| MadeColumn {
        name: name.to_owned(),
        column_type: column_type.to_owned(),
        content,
        is_bound: name == "c",
    });
    let spec = TableSpec::new()
        .partition_by("MONTH")
        .dedup_keys(["b"])
        .column_type("c", "UUID")
        .ttl("2w")
        .symbol_capacity("b", 64)
        .symbol_index(["b"])
        .narrow(true);
    Header {
        protocol_version: ProtocolVersion::V3,
        at: None,
        statements: Vec::new(),
        repeatable: false,
        made_for: Some(MadeFor {
            columns: columns.into(),
            designated: Some(("ts".to_owned(), "TIMESTAMP".to_owned())),
            at: Some(("ts".to_owned(), Content::Micros)),
            create: Making::Statement(spec),
            null_bool: NullBool::Error,
            first_row: Some(10),
        }),
        ..first()
    }
}

#[track_caller]
fn read(json: &str) -> Header {
    simd_json::serde::from_slice(&mut json.to_owned().into_bytes()).expect(json)
}

#[test]
fn headers_of_earlier_versions_are_read() {
    assert_eq!(read(FIRST), first());
    // What a specification says by default may be missing, and what is new is not read by the old.
    let short = NOW.replace(r#","ttl":"2w""#, "").replace(r#","narrow":true"#, "");
    let Some(MadeFor { create: Making::Statement(spec), .. }) = read(&short).made_for else { panic!("a statement") };
    assert_eq!(
        spec,
        TableSpec::new()
            .partition_by("MONTH")
            .dedup_keys(["b"])
            .column_type("c", "UUID")
            .symbol_capacity("b", 64)
            .symbol_index(["b"])
    );
}

/// Red when the form changes: then that of today is to be kept here, and read.
#[test]
fn headers_are_written_as_before() {
    let text =
        |header: &Header| String::from_utf8(simd_json::serde::to_vec(header).expect("plain data")).expect("JSON");
    assert_eq!(text(&now()), NOW);
    assert_eq!(read(NOW), now());
    for (making, name) in [(Making::Server, "Server"), (Making::Never, "Never")] {
        for (null_bool, bool_name) in [(NullBool::False, "False"), (NullBool::Omit, "Omit")] {
            let mut header = now();
            let made_for = header.made_for.as_mut().expect("given");
            (made_for.create, made_for.null_bool) = (making.clone(), null_bool);
            let json = text(&header);
            assert!(
                json.ends_with(&format!(r#""create":"{name}","null_bool":"{bool_name}","first_row":10}}}}"#)),
                "{json}"
            );
            assert_eq!(read(&json), header);
        }
    }
}
