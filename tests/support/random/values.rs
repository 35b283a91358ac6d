//! Single values that are likely to break an encoder, drawn from a seed.
//!
//! Every drawing depends on its seed only, never on what was drawn before it, so that a failing frame keeps
//! its values while proptest takes rows and columns away from it.

use arrow_buffer::i256;
use half::f16;

pub(crate) use super::super::dice::Dice;

/// An integer: the extremes, around powers of ten (where the number of digits changes) and of two, any width.
pub(crate) fn integer(dice: &mut Dice) -> i64 {
    let near = dice.below(5) as i64 - 2;
    let value = match dice.below(8) {
        0 => dice.pick(&[0, 1, 9, 10, 99, 100, 127, 128, 255, 256]),
        1 => dice.pick(&[i64::MAX, i64::MIN, i64::MIN + 1, i64::from(i32::MAX), i64::from(i32::MIN)]),
        2 | 3 => 10_i64.pow(dice.below(19) as u32).wrapping_add(near),
        4 => (1_i64 << dice.below(63)).wrapping_add(near),
        5 => dice.below(1_000) as i64,
        _ => (dice.next() >> dice.below(64)) as i64,
    };
    if dice.chance(3) { value.wrapping_neg() } else { value }
}

/// An integer in `0..=max`, likewise.
pub(crate) fn integer_up_to(dice: &mut Dice, max: i64) -> i64 {
    let value = match dice.below(10) {
        0 => max,
        1 => 0,
        _ => integer(dice),
    };
    let value = value.saturating_abs();
    if value <= max { value } else { value % (max + 1) }
}

/// An integer whose magnitude is at most `max`.
pub(crate) fn integer_within(dice: &mut Dice, max: i64) -> i64 {
    let value = integer_up_to(dice, max);
    if dice.chance(3) { -value } else { value }
}

/// An integer that a double holds; only positive ones up to `u64::MAX` if there are no others.
pub(crate) fn exact_integer(dice: &mut Dice, signed: bool) -> i128 {
    let value = i128::from(integer_up_to(dice, 1 << 53));
    let value = value << dice.pick(&[0, 0, 1, 9, 10]);
    match signed {
        true => dice.pick(&[value, -value, i128::from(i64::MIN)]),
        false => dice.pick(&[value, value, 1 << 63]),
    }
}

/// A decimal of at most so many digits: the extremes, zero, any number of digits.
pub(crate) fn decimal(dice: &mut Dice, digits: u8) -> i256 {
    const PART: u32 = 18;
    let nines = |count: u32| i256::from_i128(10).wrapping_pow(count).wrapping_sub(i256::ONE);
    let value = match dice.below(6) {
        0 => i256::ZERO,
        1 => nines(u32::from(digits)),
        2 => nines(dice.below(u64::from(digits) + 1) as u32),
        _ => {
            let mut left = dice.below(u64::from(digits) + 1) as u32;
            let mut value = i256::ZERO;
            while left > 0 {
                let part = left.min(PART);
                let power = 10_u64.pow(part);
                value = value.wrapping_mul(i256::from_i128(power.into()));
                value = value.wrapping_add(i256::from_i128(dice.below(power).into()));
                left -= part;
            }
            value
        }
    };
    if dice.chance(3) { value.wrapping_neg() } else { value }
}

/// Any 256 bits.
pub(crate) fn wide(dice: &mut Dice) -> i256 {
    let mut word = || u128::from(dice.next()) << 64 | u128::from(dice.next());
    i256::from_parts(word(), word() as i128)
}

/// A double: prices, integers, powers of ten and of two with their neighbours, subnormals, zeros, infinities,
/// NaN with and without payload, any bits.
pub(crate) fn double(dice: &mut Dice) -> f64 {
    let value = match dice.below(12) {
        0 => dice.pick(&[
            0.0,
            -0.0,
            1.0,
            0.1,
            1.0 / 3.0,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            f64::EPSILON,
            9_007_199_254_740_993.0,
            1.2345e16,
            9_999_999_999_999_998.0,
            123_456_789_012_345_680.0,
        ]),
        1 => dice.pick(&[f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
        2 => f64::from_bits(0x7ff0_0000_0000_0001 | (dice.next() & 0x800f_ffff_ffff_ffff)),
        3 => f64::from_bits(dice.next() & 0x000f_ffff_ffff_ffff),
        4 | 5 => {
            let power: f64 = format!("1e{}", dice.below(632) as i64 - 323).parse().expect("a power of ten");
            dice.pick(&[power, power.next_up(), power.next_down()])
        }
        // Around the two places where plain notation turns into scientific.
        6 => {
            let power: f64 = dice.pick(&[1e-6, 1e-5, 1e-4, 1e15, 1e16, 1e17]);
            dice.pick(&[power.next_up(), power.next_down(), power * 1.5, power * 9.999])
        }
        7 => 2_f64.powi(dice.below(2_098) as i32 - 1_074),
        8 => integer(dice) as f64,
        9 | 10 => dice.below(10_000_000) as f64 / dice.pick(&[100.0, 1_000.0, 8.0]),
        _ => f64::from_bits(dice.next()),
    };
    if dice.chance(4) { -value } else { value }
}

/// A single. Signalling NaNs are left out: what the upcast to `f64` makes of them is the processor's choice.
pub(crate) fn single(dice: &mut Dice) -> f32 {
    let value = match dice.below(6) {
        0 => dice.pick(&[0.0, -0.0, 0.1, f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1), 16_777_217.0]),
        1 => dice.pick(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]),
        2 => f32::from_bits(dice.next() as u32 & 0x007f_ffff),
        3 => dice.below(1_000_000) as f32 / 100.0,
        4 => double(dice) as f32,
        _ => f32::from_bits(dice.next() as u32),
    };
    if value.is_nan() { f32::from_bits(value.to_bits() | 0x0040_0000) } else { value }
}

/// A half: any bits, but no signalling NaN (see [`single`]).
pub(crate) fn half(dice: &mut Dice) -> f16 {
    let value = match dice.below(3) {
        0 => dice.pick(&[f16::ZERO, f16::NEG_ZERO, f16::MAX, f16::MIN, f16::INFINITY, f16::NAN, f16::from_bits(1)]),
        1 => f16::from_f32(dice.below(10_000) as f32 / 16.0),
        _ => f16::from_bits(dice.next() as u16),
    };
    if value.is_nan() { f16::from_bits(value.to_bits() | 0x0200) } else { value }
}

/// A string: every escape, Unicode of every width, lengths around powers of two with an escape somewhere in
/// it, long ones, the empty one.
pub(crate) fn string(dice: &mut Dice) -> String {
    const SPECIAL: [char; 7] = [' ', ',', '=', '\n', '\r', '\\', '"'];
    const OTHER: [char; 12] = ['a', 'Z', '0', '-', '/', '\t', '\u{1}', '\u{7f}', 'é', '\u{feff}', '漢', '🦀'];
    const LENGTHS: [usize; 21] = [4, 7, 8, 9, 12, 13, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257];
    match dice.below(10) {
        0 => String::new(),
        1 => dice
            .pick(&["a", "BTC-USD", "ETH USD", "x y,z=w\\\"\n\r é", "h\"e\\l\nlo ,=", "naïve", "\\", "\""])
            .to_owned(),
        2 => (0..1 + dice.below(40)).map(|_| dice.pick(&SPECIAL)).collect(),
        3 => (0..1 + dice.below(30)).map(|_| dice.pick(&OTHER)).collect(),
        4 => {
            (0..dice.below(60)).map(|_| if dice.chance(3) { dice.pick(&SPECIAL) } else { dice.pick(&OTHER) }).collect()
        }
        5 | 6 => {
            let length = dice.pick(&LENGTHS);
            let mut text = "abcdefghijklmnopqrstuvwxyz".repeat(10);
            text.truncate(length);
            if dice.chance(2) {
                let place = dice.below(length as u64) as usize;
                text.replace_range(place..=place, dice.pick(&SPECIAL).encode_utf8(&mut [0; 4]));
            }
            text
        }
        7 if dice.chance(4) => {
            let length = dice.pick(&[129, 300, 301, 1_000, 5_000]);
            (0..length).map(|i| if i % 97 == 96 { dice.pick(&SPECIAL) } else { 'q' }).collect()
        }
        _ => format!("word{}", dice.below(20)),
    }
}
