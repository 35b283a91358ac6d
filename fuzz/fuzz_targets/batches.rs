//! Random frames of every type, layout and option: the encoder must write what the reference encoder writes, and
//! refuse what it refuses. The frames are those of the property tests, drawn from the fuzzer's bytes.

#![no_main]

#[path = "../../tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;

use support::judge::judge;
use support::random::{Shape, Types, drawn_case};

fuzz_target!(|data: &[u8]| {
    let [choice, drawn @ ..] = data else { return };
    let version = 1 + choice % 3;
    let faulty = choice / 3 % 2 == 1;
    // Lists need version 2. Lines of 96 columns and more are written panel by panel.
    let (types, columns) = match choice / 6 % 4 {
        0 if version > 1 => (Types::Lists, 1..=6),
        1 => (Types::Panels, 96..=130),
        _ => (Types::Any, 1..=6),
    };
    let rows = match (choice / 24 % 4, types) {
        (0, Types::Panels) => vec![255, 256, 257],
        (0, _) => vec![255, 256, 257, 1_000, 2_049],
        _ => vec![0, 1, 2, 3, 8, 17, 70],
    };
    let shape = Shape { columns, chunks: 1..=3, rows, types, faulty };
    let mut left = drawn.iter();
    let mut number =
        |bytes| (0..bytes).fold(0, |number, _| number << 8 | left.next().map_or(0, |byte| u64::from(*byte)));
    let case = drawn_case(version, &shape, &mut number);
    if let Err(difference) = judge(&case) {
        panic!("{difference}\n{case:#?}");
    }
});
