//! The encoder alone, one thread, against the naive row-wise reference encoder and a copy of the same bytes.
//!
//! `cargo bench --bench encode [rows]`. Output is compared with the reference before anything is timed; contenders are
//! interleaved and medians printed, with the protocol version. The comparison with the official client, which gates
//! changes, is `benches/python/compare_encode.py`.

#[path = "common/mod.rs"]
#[allow(dead_code)]
mod common;
#[path = "../tests/support/reference.rs"]
#[allow(dead_code, missing_docs, missing_debug_implementations, unreachable_pub, clippy::all)]
mod reference;

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use arrow_array::RecordBatch;
use questframe::{ProtocolVersion, WriteOptions, to_ilp, to_ilp_writer};

const ROUNDS: usize = 9;

/// Makes a frame of so many rows.
type Frame = fn(usize) -> RecordBatch;

/// Counts what it is given, and looks at it: a write that nobody reads may be optimised away.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += black_box(bytes).len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn timed(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

fn compare(name: &str, batch: &RecordBatch, version: ProtocolVersion) {
    let options = WriteOptions::table("t").at("timestamp").protocol_version(version);
    let small = batch.slice(0, batch.num_rows().min(20_011));
    let naive = reference::Options::new("t", reference::At::Column("timestamp".to_owned()), version.number());
    let expected = reference::reference_ilp(std::slice::from_ref(&small), &naive);
    assert!(to_ilp(&small, &options).expect("sound") == expected, "{name}: not the reference's bytes");

    let lines = to_ilp(batch, &options).expect("sound");
    let mut target = lines.clone();
    let (mut ours, mut theirs, mut copy) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(timed(|| {
            let mut count = Count(0);
            to_ilp_writer(batch, &options, &mut count).expect("sound");
            assert_eq!(count.0, lines.len() as u64);
        }));
        theirs.push(timed(|| {
            black_box(reference::reference_ilp(std::slice::from_ref(&small), &naive));
        }));
        copy.push(timed(|| black_box(&mut target).copy_from_slice(black_box(&lines))));
    }
    let rows = batch.num_rows() as f64;
    let (ours, copy) = (median(ours), median(copy));
    let naive = median(theirs) / small.num_rows() as f64 * rows;
    println!(
        "{name:8} {version}: {:6.1} ns/row, {:6.2} M rows/s, {:5.2} GB/s; naive {:6.1} ns/row ({:4.1}x); copy {:5.1} ns/row ({:2.0} %)",
        ours / rows * 1e9,
        rows / ours / 1e6,
        lines.len() as f64 / ours / 1e9,
        naive / rows * 1e9,
        naive / ours,
        copy / rows * 1e9,
        copy / ours * 100.0,
    );
}

fn main() {
    // Words choose frames and versions; a number is the rows. Cargo's own flags are not for us.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let rows = words.iter().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let wanted = |names: &[&str], name: &str| {
        let chosen = words.iter().any(|word| names.contains(&word.as_str()));
        !chosen || words.iter().any(|word| word == name)
    };
    let frames: [(&str, Frame); 5] = [
        ("trades", common::trades),
        ("tsbs", common::tsbs),
        ("mixed", common::mixed),
        ("strings", common::strings),
        ("views", common::views),
    ];
    let names = frames.map(|(name, _)| name);
    for (name, frame) in frames {
        if !wanted(&names, name) {
            continue;
        }
        let batch = frame(rows);
        for version in [ProtocolVersion::V2, ProtocolVersion::V1] {
            if wanted(&["v1", "v2"], &version.to_string()) {
                compare(name, &batch, version);
            }
        }
    }
}
