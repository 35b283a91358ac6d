//! The golden files: exact bytes for every family of types, as the official client writes them.
//!
//! `golden/generate.py` makes them and says how; `golden/manifest.json` lists them. The reference encoder is held
//! to the same bytes, since the property tests take its word for everything else.

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_ipc::reader::FileReader;
use questframe::to_ilp;
use serde::Deserialize;

use support::reference::{At, NullBool, Options, Symbols, reference_ilp};
use support::{first_difference, write_options};

/// An entry of the manifest.
#[derive(Deserialize)]
struct Golden {
    name: String,
    frame: String,
    table: String,
    at: GoldenAt,
    symbols: GoldenSymbols,
    null_at: String,
    null_bool: String,
    empty_rows: String,
    nan: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum GoldenAt {
    /// A column's name, or `server`.
    Word(String),
    Nanos {
        nanos: i64,
    },
    Micros {
        micros: i64,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum GoldenSymbols {
    /// `auto`, `all` or `none`.
    Word(String),
    Columns(Vec<String>),
}

impl Golden {
    fn options(&self, version: u8) -> Options {
        let at = match &self.at {
            GoldenAt::Word(word) if word == "server" => At::Server,
            GoldenAt::Word(column) => At::Column(column.clone()),
            GoldenAt::Nanos { nanos } => At::Nanos(*nanos),
            GoldenAt::Micros { micros } => At::Micros(*micros),
        };
        let symbols = match &self.symbols {
            GoldenSymbols::Word(word) => match word.as_str() {
                "auto" => Symbols::Auto,
                "all" => Symbols::All,
                "none" => Symbols::None,
                other => panic!("{other} is no choice of symbols"),
            },
            GoldenSymbols::Columns(columns) => Symbols::Columns(columns.clone()),
        };
        let null_bool = match self.null_bool.as_str() {
            "error" => NullBool::Error,
            "false" => NullBool::False,
            "omit" => NullBool::Omit,
            other => panic!("{other} is no choice for null booleans"),
        };
        Options {
            symbols,
            null_bool,
            null_at_server: self.null_at == "server",
            skip_empty_rows: self.empty_rows == "skip",
            omit_nan: self.nan == "omit",
            ..Options::new(&self.table, at, version)
        }
    }

    fn batches(&self) -> Vec<RecordBatch> {
        let file = File::open(golden(&self.frame)).expect("the frame's file");
        let reader = FileReader::try_new(file, None).expect("an Arrow file");
        reader.collect::<Result<_, _>>().expect("record batches")
    }

    /// The official client's bytes. Version 3 has those of version 2.
    fn expected(&self, version: u8) -> Vec<u8> {
        fs::read(golden(&format!("{}.v{}.ilp", self.name, version.min(2)))).expect("the golden bytes")
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn manifest() -> Vec<Golden> {
    let mut text = fs::read(golden("manifest.json")).expect("the manifest");
    simd_json::serde::from_slice(&mut text).expect("a list of cases")
}

/// Every case that parts from its golden bytes, all told at once.
fn differences(encode: impl Fn(Vec<RecordBatch>, &Options) -> Result<Vec<u8>, String>) -> String {
    let mut report = String::new();
    for case in manifest() {
        for version in 1..=3 {
            let difference = match encode(case.batches(), &case.options(version)) {
                Ok(got) => first_difference(&case.expected(version), &got),
                Err(error) => Some(format!("refused: {error}")),
            };
            if let Some(difference) = difference {
                report.push_str(&format!("{} v{version}: {difference}\n", case.name));
            }
        }
    }
    report
}

#[test]
fn encoder_writes_the_golden_bytes() {
    let report =
        differences(|batches, options| to_ilp(batches, &write_options(options)).map_err(|error| error.to_string()));
    assert!(report.is_empty(), "{report}");
}

#[test]
fn reference_encoder_writes_the_golden_bytes() {
    let report = differences(|batches, options| Ok(reference_ilp(&batches, options)));
    assert!(report.is_empty(), "{report}");
}

/// A file that no case reads, or a case without its files, means that the generator was not run to its end.
#[test]
fn manifest_and_files_agree() {
    let mut listed: Vec<_> = (manifest().iter())
        .flat_map(|case| [case.frame.clone(), format!("{}.v1.ilp", case.name), format!("{}.v2.ilp", case.name)])
        .collect();
    listed.sort();
    listed.dedup();
    let mut present: Vec<_> = fs::read_dir(golden("."))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .filter(|name| name.ends_with(".arrow") || name.ends_with(".ilp"))
        .collect();
    present.sort();
    assert_eq!(listed, present);
}
