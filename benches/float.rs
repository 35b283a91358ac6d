//! Text of floats, one thread: each kernel that the processor has against scalar `zmij`, and against copying alone.
//!
//! `cargo bench --bench float [values]`. *Slots* is text in 32-byte slots with its length, as the encoder uses it;
//! *text* is contiguous, a line feed behind each value, in a buffer that is used again as those of requests are, and is
//! compared with the same bytes from `zmij` first.
//! Contenders are interleaved, medians printed in nanoseconds a value. Gates: text of uniform doubles and of prices at
//! least 3.5 times as fast as `zmij`'s with AVX-512 and twice with AVX2; the exit status is 1 when one fails.

#[path = "../src/fmt/mod.rs"]
#[allow(dead_code, unused_imports, unused_macros, unreachable_pub, missing_debug_implementations)]
mod fmt;
#[path = "../src/simd.rs"]
#[allow(dead_code, unused_imports, unused_macros, unreachable_pub)]
mod simd;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use fmt::SLOT;
use fmt::float;
use simd::Level;

const ROUNDS: usize = 15;

/// Values taken from slots before the slots leave the first cache level.
const BLOCK: usize = 256;

/// Slots that begin at a cache line, as those of the encoder do.
#[repr(align(64))]
struct Slots([[u8; SLOT]; BLOCK]);

/// Values of a buffer of text, which then has at most 264 KiB.
const BATCH: usize = 8192;

/// The least multiples of the scalar speed, for frames that have gates.
const GATES: [(Level, f64); 2] = [(Level::Avx512, 3.5), (Level::Avx2, 2.0)];
const GATED: [&str; 2] = ["uniform", "prices"];

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// splitmix64.
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

/// Names and values of what is timed.
fn distributions(count: usize) -> Vec<(&'static str, Vec<u64>)> {
    let mut next = random(7);
    let mut make = |value: &mut dyn FnMut(u64) -> f64| (0..count).map(|_| value(next()).to_bits()).collect();
    let uniform = make(&mut |bits| 100.0 * unit(bits));
    let prices = make(&mut |bits| (bits % 10_000_000) as f64 / 100.0);
    let integers = make(&mut |bits| (bits % 1_000_000) as f64);
    let mixed = make(&mut |bits| {
        let value = match bits % 4 {
            0 => unit(bits) * 1e6,
            1 => (bits >> 8) as f64 % 1e4,
            2 => ((bits >> 8) % 100_000) as f64 / 1e3,
            _ => unit(bits) / 1e3,
        };
        if bits >> 63 == 0 { value } else { -value }
    });
    let missing = make(&mut |bits| if bits % 10 == 0 { f64::NAN } else { unit(bits) });
    let bits = make(&mut f64::from_bits);
    vec![
        ("uniform", uniform),
        ("prices", prices),
        ("integers", integers),
        ("mixed", mixed),
        ("10 % NaN", missing),
        ("bits", bits),
    ]
}

/// Contiguous text, value by value, as without kernels.
fn contiguous(values: &[u64], out: &mut [u8]) -> usize {
    let mut at = 0;
    for bits in values {
        let slot: &mut [u8; SLOT] = out[at..].first_chunk_mut().expect("room for a text");
        let length = float::write(f64::from_bits(*bits), slot) % SLOT;
        slot[length] = b'\n';
        at += length + 1;
    }
    at
}

/// The same from slots, a block at a time.
fn from_slots(level: Level, values: &[u64], out: &mut [u8]) -> usize {
    let (mut slots, mut lengths) = (Slots([[0; SLOT]; BLOCK]), [0; BLOCK]);
    let mut at = 0;
    for values in values.chunks(BLOCK) {
        float::write_all_at(level, values, &mut slots.0, &mut lengths);
        at = copy(&slots.0[..values.len()], &lengths, out, at);
    }
    at
}

fn copy(slots: &[[u8; SLOT]], lengths: &[u8], out: &mut [u8], mut at: usize) -> usize {
    for (slot, length) in slots.iter().zip(lengths) {
        let room: &mut [u8; SLOT] = out[at..].first_chunk_mut().expect("room for a text");
        *room = *slot;
        // A text has at most 24 bytes.
        let length = usize::from(*length) % SLOT;
        room[length] = b'\n';
        at += length + 1;
    }
    at
}

fn slots_only(level: Level, values: &[u64]) {
    let (mut slots, mut lengths) = (Slots([[0; SLOT]; BLOCK]), [0; BLOCK]);
    for values in values.chunks(BLOCK) {
        float::write_all_at(level, values, &mut slots.0, &mut lengths);
        black_box((&mut slots.0, &mut lengths));
    }
}

type Contender<'a> = (String, Box<dyn FnMut() + 'a>);

/// Text of all values, batch by batch, in one buffer.
fn batches(values: &[u64], out: &mut [u8], write: impl Fn(&[u64], &mut [u8]) -> usize) {
    for values in values.chunks(BATCH) {
        let written = write(values, out);
        black_box(&mut out[..written]);
    }
}

fn compare(name: &str, values: &[u64], levels: &[Level]) -> bool {
    let room = BATCH * (SLOT + 1) + SLOT;
    let (mut out, mut expected) = (vec![0; room], vec![0; room]);
    for values in values.chunks(BATCH) {
        let length = contiguous(values, &mut expected);
        for level in levels {
            let written = from_slots(*level, values, &mut out);
            assert!(out[..written] == expected[..length], "{name}: {level:?} is not what zmij writes");
        }
    }

    let (mut slots, mut lengths) = (Slots([[0; SLOT]; BLOCK]), [0; BLOCK]);
    float::write_all(&values[..BLOCK.min(values.len())], &mut slots.0, &mut lengths);
    let mut outs: Vec<Vec<u8>> = levels.iter().map(|_| vec![0; room]).collect();
    let mut contenders: Vec<Contender<'_>> =
        vec![("zmij, text".to_owned(), Box::new(|| batches(values, &mut expected, contiguous)))];
    for (level, out) in levels.iter().zip(&mut outs) {
        contenders.push((format!("{level:?}, slots"), Box::new(move || slots_only(*level, values))));
        let write = move |values: &[u64], out: &mut [u8]| from_slots(*level, values, out);
        contenders.push((format!("{level:?}, text"), Box::new(move || batches(values, out, write))));
    }
    contenders.push((
        "copy alone".to_owned(),
        // As many values, from slots that stay in the cache.
        Box::new(|| {
            batches(values, &mut out, |values, out| {
                values.chunks(BLOCK).fold(0, |at, values| copy(&slots.0[..values.len()], &lengths, out, at))
            });
        }),
    ));
    let mut seconds: Vec<Vec<f64>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..=ROUNDS {
        for ((_, run), seconds) in contenders.iter_mut().zip(&mut seconds) {
            let start = Instant::now();
            run();
            if round > 0 {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
    }
    let medians: Vec<f64> = seconds.into_iter().map(|seconds| median(seconds) / values.len() as f64 * 1e9).collect();
    println!("{name}: ns/value, medians of {ROUNDS} interleaved rounds of {} values", values.len());
    for ((contender, _), nanoseconds) in contenders.iter().zip(&medians) {
        println!("  {contender:16} {nanoseconds:6.2}  {:5.2} times zmij", medians[0] / nanoseconds);
    }
    let mut passes = true;
    for (level, gate) in GATES {
        if let Some(place) = levels.iter().position(|known| *known == level).filter(|_| GATED.contains(&name)) {
            let ratio = medians[0] / medians[2 + 2 * place];
            let verdict = if ratio >= gate { "PASS" } else { "FAIL" };
            println!("  {verdict} {level:?}: {ratio:.2} times zmij (at least {gate})");
            passes &= ratio >= gate;
        }
    }
    passes
}

fn main() -> ExitCode {
    // A number is the values. Cargo's own flags are not for us.
    let count = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let levels: Vec<Level> =
        [Level::Scalar, Level::Avx2, Level::Avx512].into_iter().filter(|level| level.is_available()).collect();
    let mut passes = true;
    for (name, values) in distributions(count) {
        passes &= compare(name, &values, &levels);
    }
    if passes { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
