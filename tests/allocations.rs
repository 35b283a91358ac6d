//! Allocations of an encoding and of a write, counted: none per row, no copy of a column, and nothing that a second write
//! would pay again.
//!
//! A global allocator counts what threads ask of it, and how much is held at once. Rows are encoded in blocks of some
//! hundred, and a block makes small lists of its columns that do not outlive it. So what is asserted is a number of rows for
//! each allocation, far from one, and that at no time more is held than buffers and less than the smallest copy of a column.
//! `cargo test --test allocations -- --nocapture --test-threads=1` prints the figures.

#[path = "../benches/common/mod.rs"]
#[allow(dead_code)]
mod common;
#[path = "support/sink.rs"]
mod sink;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{self, Write};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow_array::RecordBatch;
use questframe::{Client, ProtocolVersion, WriteOptions, to_ilp_writer};
use sink::Sink;

/// What one request allocates, on both threads: its body, headers, answer and books.
const PER_REQUEST: u64 = 200;
/// What a call holds beside buffers: the plan, scratch of a block, rendered symbols.
const BESIDE_BUFFERS: u64 = 1 << 20;
/// The client's pool, small beside the frames.
const POOL: u64 = 4 << 20;

const FEW: usize = 100_000;
const MANY: usize = 1_000_000;

/// The system's allocator, counting.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations so far, bytes held now, and the most of them since somebody set it back.
static TIMES: AtomicU64 = AtomicU64::new(0);
static HELD: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);

thread_local! {
    /// Whether this thread's allocations count.
    static COUNTS: Cell<bool> = const { Cell::new(true) };
}

/// Counts an allocation, or with a negative number of bytes the end of one.
fn count(bytes: i64) {
    // A thread that is ending has no such flag any more.
    if !COUNTS.try_with(Cell::get).unwrap_or(false) {
        return;
    }
    TIMES.fetch_add(u64::from(bytes > 0), Ordering::Relaxed);
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: the system's allocator does all of it; counting touches no memory but atomics and a flag.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promise is the callee's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promise is the callee's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64);
        count(-(layout.size() as i64));
        // SAFETY: the caller's promise is the callee's.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller's promise is the callee's.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// What was asked of the allocator: how often, and how many bytes were held at once beyond those held before.
#[derive(Clone, Copy, Debug)]
struct Asked {
    times: u64,
    peak: u64,
}

/// What all threads that count ask for while `run` runs.
fn asked<T>(run: impl FnOnce() -> T) -> (Asked, T) {
    let (times, held) = (TIMES.load(Ordering::SeqCst), HELD.load(Ordering::SeqCst));
    PEAK.store(held, Ordering::SeqCst);
    let result = run();
    let peak = PEAK.load(Ordering::SeqCst) - held;
    (Asked { times: TIMES.load(Ordering::SeqCst) - times, peak: peak as u64 }, result)
}

/// Held by each test: the counters are the whole process's.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads nothing, keeps nothing.
struct Nowhere;

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A frame's name, how it is made, and how many of its rows at least share an allocation: of many columns, a block has few
/// rows and longer lists.
type Frame = (&'static str, fn(usize) -> RecordBatch, usize);

const FRAMES: [Frame; 3] = [("trades", common::trades, 150), ("tsbs", common::tsbs, 20), ("mixed", common::mixed, 100)];
const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V1, ProtocolVersion::V2];

fn options(version: ProtocolVersion) -> WriteOptions {
    WriteOptions::table("t").at("timestamp").protocol_version(version)
}

fn encode(batch: &RecordBatch, version: ProtocolVersion) -> Asked {
    let options = options(version);
    asked(|| to_ilp_writer(batch, &options, &mut Nowhere).expect("sound")).0
}

#[test]
fn encoding_allocates_nothing_per_row() {
    let _alone = alone();
    for (name, frame, rows_each) in FRAMES {
        let (few, many) = (frame(FEW), frame(MANY));
        for version in VERSIONS {
            // The first use of the buffer is not of interest.
            encode(&few, version);
            let (first, last) = (encode(&few, version), encode(&many, version));
            println!("{name} {version}: {} allocations for {FEW} rows, {} for {MANY}", first.times, last.times);
            let most = first.times + ((MANY - FEW) / rows_each) as u64;
            assert!(last.times <= most, "{name} {version}: {first:?}, then {last:?}, and {most} times at most");
        }
    }
}

#[test]
fn encoding_copies_no_column() {
    let _alone = alone();
    for (name, frame, _) in FRAMES {
        let batch = frame(MANY);
        for version in VERSIONS {
            encode(&batch, version);
            let asked = encode(&batch, version);
            let size = batch.get_array_memory_size();
            println!("{name} {version}: {} bytes held beside a buffer, for a frame of {size}", asked.peak);
            assert!(asked.peak <= BESIDE_BUFFERS, "{name} {version}: {asked:?}");
        }
    }
}

#[test]
fn a_client_allocates_nothing_per_row_and_copies_no_column() {
    let _alone = alone();
    let sink = Sink::start(|| COUNTS.set(false));
    for (name, frame, rows_each) in FRAMES {
        let (few, many) = (frame(FEW), frame(MANY));
        for version in VERSIONS {
            let conf = format!("{}pool_bytes={POOL};", sink.conf());
            let options = options(version);
            let (whole, (first, last, requests)) = asked(|| {
                let client = Client::from_conf(&conf).expect("a client");
                client.write(&many, &options).expect("stored");
                let times = || TIMES.load(Ordering::SeqCst);
                let start = times();
                let few_requests = client.write(&few, &options).expect("stored").requests;
                let middle = times();
                let report = client.write(&many, &options).expect("stored");
                assert_eq!(report.rows, MANY as u64);
                (middle - start, times() - middle, report.requests.saturating_sub(few_requests))
            });
            println!(
                "{name} {version}: {first} allocations for {FEW} rows, {last} for {MANY} in {requests} requests more; {} \
                 bytes held at most, {POOL} of them buffers",
                whole.peak
            );
            let most = first + ((MANY - FEW) / rows_each) as u64 + PER_REQUEST * requests;
            assert!(last <= most, "{name} {version}: {first}, then {last}, and {most} times at most");
            // The smallest copy would be of the codes of a symbol, 4 MB.
            assert!(whole.peak <= POOL + BESIDE_BUFFERS, "{name} {version}: {whole:?}");
        }
    }
}
