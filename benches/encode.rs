//! The encoder alone against the naive row-wise reference encoder and the limits of the machine.
//!
//! `cargo bench --bench encode [rows] [frame...] [v1|v2]`. Output is compared with the reference before anything is
//! timed; contenders are interleaved and medians printed, with the protocol version. The limits are a copy of the
//! finished lines, and the same number of bytes from a source that stays in the first cache level into 16 MiB that are
//! used again and again, as the pool's buffers are; of the latter `tsbs` in version 2 has to reach 35 %, and two
//! threads of it, each with a frame of its own, 1.8 times the work of one. The gates hold from a million rows on; the exit
//! status is 1 when one fails. The comparison with the official client is `benches/python/compare_encode.py`.

#[path = "common/mod.rs"]
#[allow(dead_code)]
mod common;
#[path = "../tests/support/reference.rs"]
#[allow(dead_code, missing_docs, missing_debug_implementations, unreachable_pub, clippy::all)]
mod reference;

use std::hint::black_box;
use std::time::Instant;

use arrow_array::RecordBatch;
use common::{Count, median};
use questframe::{ProtocolVersion, WriteOptions, to_ilp, to_ilp_writer};

const ROUNDS: usize = 9;
/// A buffer of the pool.
const BUFFER: usize = 16 << 20;
/// What a copy reads from, when it reads from the cache.
const HOT: usize = 32 << 10;
/// The least that `tsbs` in version 2 reaches of a copy from the cache, and two threads of twice one.
const OF_HOT_COPY: f64 = 0.35;
const TWO_THREADS: f64 = 1.8;

/// Makes a frame of so many rows.
type Frame = fn(usize) -> RecordBatch;

fn timed(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

/// Whether the gates of this frame hold.
fn compare(name: &str, batch: &RecordBatch, version: ProtocolVersion) -> bool {
    let options = WriteOptions::table("t").at("timestamp").protocol_version(version);
    let small = batch.slice(0, batch.num_rows().min(20_011));
    let naive = reference::Options::new("t", reference::At::Column("timestamp".to_owned()), version.number());
    let expected = reference::reference_ilp(std::slice::from_ref(&small), &naive);
    assert!(to_ilp(&small, &options).expect("sound") == expected, "{name}: not the reference's bytes");

    let lines = to_ilp(batch, &options).expect("sound");
    let mut target = lines.clone();
    let (hot, mut buffer) = (vec![b'x'; HOT], vec![1; BUFFER]);
    let encode = |batch: &RecordBatch| {
        let mut count = Count::default();
        to_ilp_writer(batch, &options, &mut count).expect("sound");
        assert_eq!(count.0, lines.len() as u64);
    };
    // Memory of its own for the second thread, or both would read what one of them has fetched.
    let other: RecordBatch = own(batch);
    let (mut ours, mut two, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let (mut copy, mut hot_copy) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        encode(batch);
        ours.push(timed(|| encode(batch)));
        two.push(timed(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| encode(&other));
                encode(batch);
            });
        }));
        hot_copy.push(timed(|| {
            let mut left = lines.len();
            while left > 0 {
                for piece in buffer.chunks_exact_mut(HOT) {
                    let length = left.min(HOT);
                    black_box(&mut piece[..length]).copy_from_slice(black_box(&hot[..length]));
                    left -= length;
                }
            }
        }));
        theirs.push(timed(|| {
            black_box(reference::reference_ilp(std::slice::from_ref(&small), &naive));
        }));
        copy.push(timed(|| black_box(&mut target).copy_from_slice(black_box(&lines))));
    }
    let rows = batch.num_rows() as f64;
    let (ours, copy, hot_copy) = (median(ours), median(copy), median(hot_copy));
    let threads = 2.0 * ours / median(two);
    let naive = median(theirs) / small.num_rows() as f64 * rows;
    println!(
        "{name:8} {version}: {:6.1} ns/row, {:6.2} M rows/s, {:5.2} GB/s; naive {:6.1} ns/row ({:4.1}x); copy {:5.1} ns/row ({:2.0} %), \
         from the cache {:5.1} ({:2.0} %); two threads {threads:4.2}x",
        ours / rows * 1e9,
        rows / ours / 1e6,
        lines.len() as f64 / ours / 1e9,
        naive / rows * 1e9,
        naive / ours,
        copy / rows * 1e9,
        copy / ours * 100.0,
        hot_copy / rows * 1e9,
        hot_copy / ours * 100.0,
    );
    if batch.num_rows() < 1_000_000 || name != "tsbs" || version != ProtocolVersion::V2 {
        return true;
    }
    let is_fast = hot_copy / ours >= OF_HOT_COPY;
    if !is_fast {
        println!("FAIL {name} {version}: at least {:.0} % of a copy from the cache", OF_HOT_COPY * 100.0);
    }
    let scales = threads >= TWO_THREADS || std::thread::available_parallelism().is_ok_and(|cores| cores.get() < 2);
    if !scales {
        println!("FAIL {name} {version}: two threads at least {TWO_THREADS} times one");
    }
    is_fast && scales
}

/// The same batch in other memory.
fn own(batch: &RecordBatch) -> RecordBatch {
    let indices = arrow_array::UInt32Array::from_iter_values(0..batch.num_rows() as u32);
    arrow_select::take::take_record_batch(batch, &indices).expect("its own rows")
}

fn main() {
    // Words choose frames and versions; a number is the rows. Cargo's own flags are not for us.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let rows = words.iter().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let wanted = |names: &[&str], name: &str| {
        let chosen = words.iter().any(|word| names.contains(&word.as_str()));
        !chosen || words.iter().any(|word| word == name)
    };
    let frames: [(&str, Frame); 7] = [
        ("trades", common::trades),
        ("tsbs", common::tsbs),
        ("mixed", common::mixed),
        ("nulls", common::nulls),
        ("gaps", common::gaps),
        ("strings", common::strings),
        ("views", common::views),
    ];
    let names = frames.map(|(name, _)| name);
    let mut passed = true;
    for (name, frame) in frames {
        if !wanted(&names, name) {
            continue;
        }
        let batch = frame(rows);
        for version in [ProtocolVersion::V2, ProtocolVersion::V1] {
            if wanted(&["v1", "v2"], &version.to_string()) {
                passed &= compare(name, &batch, version);
            }
        }
    }
    std::process::exit(i32::from(!passed));
}
