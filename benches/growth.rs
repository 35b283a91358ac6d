//! The encoder alone, one thread, on one frame of a chosen shape: what `benches/python/growth.py` measures with.
//!
//! `cargo bench --bench growth -- frame=trades version=2 rows=1000000 columns=0 chunks=1 times=1 rounds=5`. A line of JSON is
//! printed: what was encoded, and the seconds of each round. Frames are `trades`, `tsbs`, `mixed` and `wide`, and `columns`, of as
//! many columns as `columns=` says: symbols and floats in equal numbers and a timestamp, as `trades` has them. `chunks=`
//! cuts the frame into batches, `times=` encodes it that often as one stream, so that more rows need not be in memory.
//!
//! Rounds are counted and timed in [`measured`], which is never inlined: `valgrind --tool=callgrind
//! --collect-atstart=no --toggle-collect='*growth*measured*'` counts the instructions of the encoding, and not those that
//! make the frame.

#[path = "common/mod.rs"]
#[allow(dead_code)]
mod common;

use std::time::Instant;

use arrow_array::{RecordBatch, RecordBatchIterator};
use common::Count;
use questframe::{ProtocolVersion, WriteOptions, to_ilp_writer};

/// More than the caches hold.
const CACHES: usize = 256 << 20;

/// What to encode, and how often.
struct Case {
    frame: String,
    version: ProtocolVersion,
    rows: usize,
    columns: usize,
    chunks: usize,
    times: usize,
    rounds: usize,
}

impl Case {
    fn from_arguments() -> Self {
        let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
        let text = |key: &str| words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        let number = |key: &str, default: usize| match text(key) {
            None => default,
            Some(text) => text.parse().unwrap_or_else(|_| panic!("{key}={text} is no number")),
        };
        let version = match number("version", 2) {
            1 => ProtocolVersion::V1,
            2 => ProtocolVersion::V2,
            other => panic!("version={other}: 1 or 2"),
        };
        Self {
            frame: text("frame").unwrap_or("trades").to_owned(),
            version,
            rows: number("rows", 1_000_000),
            columns: number("columns", 5),
            chunks: number("chunks", 1),
            times: number("times", 1),
            rounds: number("rounds", 5),
        }
    }

    fn batch(&self) -> RecordBatch {
        match self.frame.as_str() {
            "trades" => common::trades(self.rows),
            "tsbs" => common::tsbs(self.rows),
            "mixed" => common::mixed(self.rows),
            "wide" => common::wide(self.rows),
            "columns" => common::columns(self.rows, self.columns),
            other => panic!("frame={other}: trades, tsbs, mixed, wide or columns"),
        }
    }
}

/// One encoding: of a frame, or of a stream that has it several times.
#[inline(never)]
fn measured(batches: &[RecordBatch], times: usize, options: &WriteOptions) -> u64 {
    let mut count = Count::default();
    if times == 1 {
        to_ilp_writer(batches, options, &mut count).expect("sound");
    } else {
        let schema = batches[0].schema();
        let stream = (0..times).flat_map(|_| batches.iter().cloned().map(Ok));
        to_ilp_writer(RecordBatchIterator::new(stream, schema), options, &mut count).expect("sound");
    }
    count.0
}

/// The frame in so many batches of as equal a size as can be.
fn chunked(batch: &RecordBatch, chunks: usize) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    (0..chunks)
        .map(|chunk| (rows * chunk / chunks, rows * (chunk + 1) / chunks))
        .map(|(start, end)| batch.slice(start, end - start))
        .collect()
}

/// Frames of the same shape: more than the caches hold.
///
/// Each round encodes the next of them, which comes from memory then, and small frames are no exception; while the encoder
/// itself and its buffers are as the last write has left them, of however many rows that was.
fn frames(case: &Case) -> Vec<Vec<RecordBatch>> {
    let frame = || chunked(&case.batch(), case.chunks);
    let first = frame();
    let bytes: usize = first.iter().map(RecordBatch::get_array_memory_size).sum::<usize>() / case.chunks;
    // Between two turns of a frame come all others.
    let others = if case.rounds == 1 || bytes > CACHES { 0 } else { CACHES / bytes + 1 };
    std::iter::once(first).chain((0..others).map(|_| frame())).collect()
}

fn main() {
    let case = Case::from_arguments();
    let frames = frames(&case);
    let options = WriteOptions::table("t").at("timestamp").protocol_version(case.version);
    let (mut bytes, mut seconds) = (0, Vec::new());
    for round in 0..case.rounds {
        let batches = &frames[round % frames.len()];
        let start = Instant::now();
        bytes = measured(batches, case.times, &options);
        seconds.push(format!("{:.9}", start.elapsed().as_secs_f64()));
    }
    println!(
        r#"{{"frame": "{}", "version": {}, "rows": {}, "columns": {}, "chunks": {}, "bytes": {bytes}, "seconds": [{}]}}"#,
        case.frame,
        case.version.number(),
        case.rows * case.times,
        frames[0][0].num_columns(),
        case.chunks * case.times,
        seconds.join(", "),
    );
}
