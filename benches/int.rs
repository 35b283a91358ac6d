//! Integers and timestamps as text: the batch kernels in every variant, against `itoa` and a copy, value by value.
//!
//! `cargo bench --bench int [values]`. The kernels are private, so this compiles them itself. Every variant's text is
//! compared with `itoa`'s before anything is timed; contenders are interleaved and medians compared. The exit status is
//! 1 when a gate fails: the best variant that this processor has must be so many times as fast as `itoa`. Integers of more
//! than eight digits, and negative ones, have no kernel: the encoder writes them by `itoa`.

#[path = "../tests/support/dice.rs"]
#[allow(dead_code)]
mod dice;
#[path = "../src/fmt/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports)]
mod fmt;
#[path = "../src/simd.rs"]
#[allow(dead_code, unused_imports, unused_macros)]
mod simd;

use std::hint::black_box;
use std::time::Instant;

use dice::Dice;
use fmt::{SLOT, int};
use simd::Level;

const ROUNDS: usize = 15;

/// Values of a block: text is made a block at a time, into scratch that stays in the nearest caches.
const BLOCK: usize = 1024;

const START_NS: i64 = 1_735_689_600_000_000_000;

/// Which kernel makes the text of a frame's values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kernel {
    /// Designated timestamps, which share their first digits.
    Timestamps,
    /// Below 10^8.
    Short,
}

struct Case {
    name: &'static str,
    kernel: Kernel,
    /// Times `itoa` and a copy.
    gate: f64,
    values: Vec<i64>,
}

/// What kernels write.
struct Scratch {
    digits: Vec<[u64; 2]>,
    slots: Vec<[u8; SLOT]>,
    lengths: Vec<u8>,
}

impl Scratch {
    fn new() -> Self {
        Self { digits: vec![[0; 2]; BLOCK], slots: vec![[0; SLOT]; BLOCK], lengths: vec![0; BLOCK] }
    }
}

impl Kernel {
    /// As the encoder does it: the range of the block first, since it decides.
    fn run(self, level: Level, block: &[i64], scratch: &mut Scratch) {
        let n = block.len();
        let (min, max) = black_box(int::range(block));
        match self {
            Self::Timestamps => {
                let base = min as u64 / int::TWO_WORDS * int::TWO_WORDS;
                assert!(max as u64 - base < int::TWO_WORDS, "no timestamps of one decade");
                int::sixteen_digits_at(level, block, base, &mut scratch.digits[..n]);
            }
            Self::Short => {
                assert!(min >= 0 && (max as u64) < int::WORD, "no short integers");
                int::write_short_at(level, block, &mut scratch.slots, &mut scratch.lengths);
            }
        }
    }

    /// The text of value `i` of the block.
    fn text(self, block: &[i64], scratch: &Scratch, i: usize) -> Vec<u8> {
        let length = usize::from(scratch.lengths[i]);
        match self {
            Self::Timestamps => {
                let leading = (block[i] as u64 / int::TWO_WORDS).to_string().into_bytes();
                [leading, scratch.digits[i].map(u64::to_le_bytes).concat()].concat()
            }
            Self::Short => scratch.slots[i][..length].to_vec(),
        }
    }
}

/// `itoa`, and a copy to the slot.
fn itoa_block(block: &[i64], scratch: &mut Scratch) {
    for ((value, slot), length) in block.iter().zip(&mut scratch.slots).zip(&mut scratch.lengths) {
        let mut buffer = itoa::Buffer::new();
        let text = buffer.format(*value).as_bytes();
        slot[..text.len()].copy_from_slice(text);
        *length = text.len() as u8;
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Nanoseconds a value over all blocks.
fn timed(values: &[i64], scratch: &mut Scratch, run: impl Fn(&[i64], &mut Scratch)) -> f64 {
    let start = Instant::now();
    for block in values.chunks(BLOCK) {
        run(black_box(block), scratch);
        black_box(&mut *scratch);
    }
    start.elapsed().as_secs_f64() * 1e9 / values.len() as f64
}

/// Whether the gate holds.
fn compare(case: &Case, levels: &[Level]) -> bool {
    let (kernel, values) = (case.kernel, case.values.as_slice());
    let mut scratch = Scratch::new();
    for level in levels {
        for block in values.chunks(BLOCK) {
            kernel.run(*level, block, &mut scratch);
            for (i, value) in block.iter().enumerate() {
                let expected = itoa::Buffer::new().format(*value).as_bytes().to_vec();
                assert_eq!(kernel.text(block, &scratch, i), expected, "{}, {level:?}", case.name);
            }
        }
    }
    let mut itoa = Vec::new();
    let mut ours = vec![Vec::new(); levels.len()];
    for _ in 0..ROUNDS {
        itoa.push(timed(values, &mut scratch, itoa_block));
        for (level, ours) in levels.iter().zip(&mut ours) {
            ours.push(timed(values, &mut scratch, |block, scratch| kernel.run(*level, block, scratch)));
        }
    }
    let itoa = median(itoa);
    let ours: Vec<f64> = ours.into_iter().map(median).collect();
    let variants = levels.iter().zip(&ours).map(|(level, ns)| format!("{level:?} {ns:5.2}").to_lowercase());
    let ratio = ours.last().map_or(0.0, |best| itoa / best);
    let passed = ratio >= case.gate;
    println!(
        "{:26} ns/value: itoa {itoa:5.2}  {}  {ratio:4.1}x (at least {:.1})  {}",
        case.name,
        variants.collect::<Vec<_>>().join("  "),
        case.gate,
        if passed { "PASS" } else { "FAIL" },
    );
    passed
}

fn cases(count: usize) -> Vec<Case> {
    let mut dice = Dice::new(1, &[]);
    let mut case = |name, kernel, gate, value: &mut dyn FnMut(&mut Dice, i64) -> i64| {
        let values = (0..count as i64).map(|i| value(&mut dice, i)).collect();
        Case { name, kernel, gate, values }
    };
    let digits = |dice: &mut Dice, least: u64, most: u64| {
        let power = 10_u64.pow((least + dice.below(most - least + 1)) as u32);
        (power / 10 + dice.below(power - power / 10)) as i64
    };
    let mut at = START_NS;
    vec![
        case("timestamps, 1 ms steps", Kernel::Timestamps, 4.0, &mut |_, i| START_NS + i * 1_000_000),
        case("timestamps, random steps", Kernel::Timestamps, 4.0, &mut |dice, _| {
            at += dice.below(4_000_000_000) as i64;
            at
        }),
        case("i64, 0..1000", Kernel::Short, 3.0, &mut |dice, _| dice.below(1_000) as i64),
        case("i64, 1 to 8 digits", Kernel::Short, 3.0, &mut |dice, _| digits(dice, 1, 8)),
    ]
}

fn main() {
    let count = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1 << 20);
    let most = simd::level();
    let levels = [Level::Scalar, Level::Avx2, Level::Avx512];
    let levels: Vec<_> = levels.into_iter().filter(|level| *level <= most && level.is_available()).collect();
    let failed = cases(count).iter().filter(|case| !compare(case, &levels)).count();
    std::process::exit(i32::from(failed > 0));
}
