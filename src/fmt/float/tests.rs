//! Every variant against `zmij` and `ryu`, on values chosen to break it: random ones find nearly nothing.

use super::*;

/// splitmix64: seeded, so that a failure repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// In 0..1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn variants() -> impl Iterator<Item = Level> {
    [Level::Scalar, Level::Avx2, Level::Avx512].into_iter().filter(|level| level.is_available())
}

fn scalar_text(bits: u64) -> Vec<u8> {
    let mut slot = [0; TEXT];
    let length = scalar::write(f64::from_bits(bits), &mut slot);
    slot[..length].to_vec()
}

/// Compares the vector variants with the scalar one.
fn check(values: &[u64]) {
    let mut slots = vec![[0; TEXT]; values.len()];
    let mut lengths = vec![0; values.len()];
    for level in variants().filter(|level| *level != Level::Scalar) {
        let is_odd = write_all_at(level, values, &mut slots, &mut lengths);
        assert!(is_odd || values.iter().all(|bits| f64::from_bits(*bits).is_finite()), "{level:?}");
        for ((bits, slot), length) in values.iter().zip(&slots).zip(&lengths) {
            let mut expected = [0; TEXT];
            let expected_length = scalar::write(f64::from_bits(*bits), &mut expected);
            if slot[..usize::from(*length)] != expected[..expected_length] {
                panic!(
                    "{level:?} of {bits:#x}: {} instead of {}",
                    String::from_utf8_lossy(&slot[..usize::from(*length)]),
                    String::from_utf8_lossy(&expected[..expected_length]),
                );
            }
        }
    }
}

fn check_floats(values: impl IntoIterator<Item = f64>) {
    check(&values.into_iter().map(f64::to_bits).collect::<Vec<_>>());
}

#[test]
fn what_is_left_of_blocks_is_not_taken_for_what_was_there_before() {
    const ODD: [f64; 5] = [f64::NAN, 5e-324, -1e300, f64::INFINITY, 1e-7];
    for left in 0..=BLOCK {
        let odd = (0..BLOCK).map(|i| ODD[i % 5]);
        check_floats(odd.clone().chain((0..left).map(|i| i as f64 / 3.0)));
        check_floats((0..BLOCK).map(|i| i as f64 / 3.0).chain(odd.take(left)));
    }
}

#[test]
fn the_table_of_the_specification() {
    for (value, expected) in [
        (0.0, "0.0"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (100.0, "100.0"),
        (-0.0, "-0.0"),
        (123456789.123, "123456789.123"),
        (1e15, "1000000000000000.0"),
        (9999999999999998.0, "9999999999999998.0"),
        (1e16, "1e16"),
        (1.2345e16, "1.2345e16"),
        (123456789012345680.0, "1.2345678901234568e17"),
        (f64::MAX, "1.7976931348623157e308"),
        (f64::MIN, "-1.7976931348623157e308"),
        (1e-5, "0.00001"),
        (9.9e-6, "9.9e-6"),
        (1e-6, "1e-6"),
        (1.5e-6, "1.5e-6"),
        (1.5e300, "1.5e300"),
        (5e-324, "5e-324"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (f64::NAN, "NaN"),
        (-f64::NAN, "NaN"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
        (1.0 / 3.0, "0.3333333333333333"),
        (-2.0 / 3.0, "-0.6666666666666666"),
    ] {
        for level in variants() {
            let (mut slots, mut lengths) = ([[0; TEXT]], [0]);
            write_all_at(level, &[value.to_bits()], &mut slots, &mut lengths);
            assert_eq!(String::from_utf8_lossy(&slots[0][..usize::from(lengths[0])]), expected, "{level:?}");
        }
    }
}

#[test]
fn the_scalar_variant_is_as_ryu() {
    let mut random = Random(1);
    let check = |value: f64| {
        if value.is_finite() {
            let expected = ryu::Buffer::new().format_finite(value).to_owned();
            assert_eq!(scalar_text(value.to_bits()), expected.as_bytes(), "{:#x}", value.to_bits());
        }
    };
    for _ in 0..100_000 {
        check(f64::from_bits(random.next()));
        check(random.below(1_000_000) as f64 / 100.0);
    }
    around_powers_of_ten().for_each(check);
}

fn around_powers_of_ten() -> impl Iterator<Item = f64> {
    (-330..309).flat_map(|exponent| {
        let power: f64 = format!("1e{exponent}").parse().expect("a number");
        (-2..=2).map(move |bits| f64::from_bits(power.to_bits().wrapping_add_signed(bits)))
    })
}

#[test]
fn edges() {
    let mut values = Vec::new();
    for exponent in 0..=0x7ff_u64 {
        for fraction in [0, 1, 2, 3, 1 << 51, (1 << 51) - 1, (1 << 52) - 2, (1 << 52) - 1] {
            values.push(exponent << 52 | fraction);
        }
        // Powers of two have another rule than their neighbours.
        let power = exponent << 52;
        values.extend([power.wrapping_sub(1), power.wrapping_sub(2)]);
    }
    values.extend(values.clone().iter().map(|bits| bits | 1 << 63));
    for exponent in -325..310 {
        for digits in 1..100 {
            let value: f64 = format!("{digits}e{exponent}").parse().expect("a number");
            values.extend((-1..=1).map(|step| value.to_bits().wrapping_add_signed(step)));
        }
    }
    values.extend(around_powers_of_ten().map(f64::to_bits));
    values.extend((0..64).flat_map(|bit| [(1_u64 << bit) as f64, 3.0 / (1_u64 << bit) as f64].map(f64::to_bits)));
    check(&values);
}

#[test]
fn values_as_they_are_met() {
    let mut random = Random(2);
    let mut values = Vec::new();
    for _ in 0..20_000 {
        values.extend([random.unit(), 100.0 * random.unit(), random.below(1 << 53) as f64, random.below(1_000) as f64]);
        for unit in [1e1, 1e2, 1e3, 1e4, 1e5, 1e6] {
            values.push(random.below(1_000_000_000) as f64 / unit);
        }
        // Dyadic fractions, and few digits at any size.
        values.push(random.below(1 << 30) as f64 / (1_u64 << random.below(40)) as f64);
        let digits: f64 =
            format!("{}e{}", random.below(100_000), random.below(600) as i64 - 300).parse().expect("a number");
        values.extend([digits, -digits, random.next() as f64]);
    }
    check_floats(values);
}

#[test]
fn random_bits() {
    let mut random = Random(3);
    check(&(0..300_000).map(|_| random.next()).collect::<Vec<_>>());
    // Subnormal ones.
    check(&(0..2_000).map(|_| random.next() >> 12).collect::<Vec<_>>());
}

/// A hundred million patterns (or `QUESTFRAME_FLOATS`), of which each hundredth is compared with `ryu` as well:
/// `cargo test --release --lib fmt::float -- --ignored`.
#[test]
#[ignore = "some minutes in release mode"]
fn a_hundred_million_random_bits() {
    let count = std::env::var("QUESTFRAME_FLOATS").map_or(100_000_000, |text| text.parse().expect("a number"));
    let mut random = Random(4);
    for _ in 0..count / 100_000 {
        let values: Vec<u64> = (0..100_000).map(|_| random.next()).collect();
        check(&values);
        for bits in values.iter().step_by(100).filter(|bits| f64::from_bits(**bits).is_finite()) {
            let expected = ryu::Buffer::new().format_finite(f64::from_bits(*bits)).to_owned();
            assert_eq!(scalar_text(*bits), expected.as_bytes(), "{bits:#x}");
        }
    }
}

#[test]
fn texts_read_back_as_the_same_bits() {
    let mut random = Random(5);
    let values: Vec<u64> =
        (0..50_000).map(|_| random.next()).filter(|bits| f64::from_bits(*bits).is_finite()).collect();
    let (mut slots, mut lengths) = (vec![[0; TEXT]; values.len()], vec![0; values.len()]);
    for level in variants() {
        write_all_at(level, &values, &mut slots, &mut lengths);
        for ((bits, slot), length) in values.iter().zip(&slots).zip(&lengths) {
            let text = std::str::from_utf8(&slot[..usize::from(*length)]).expect("ASCII");
            assert_eq!(text.parse::<f64>().expect("a number").to_bits(), *bits, "{level:?}: {text}");
        }
    }
}

#[test]
fn every_lane_beside_what_is_mended() {
    let odd = [f64::NAN, f64::INFINITY, 5e-324, 1e300, -1e-300, 0.0, -0.0, 1.0].map(f64::to_bits);
    let usual = 1234.5678_f64.to_bits();
    for place in 0..BLOCK {
        for odd in odd {
            let mut values = [usual; BLOCK];
            values[place] = odd;
            check(&values);
            let mut values = [odd; BLOCK];
            values[place] = usual;
            check(&values);
        }
    }
}

#[test]
fn any_number_of_values_in_their_slots_alone() {
    let mut random = Random(6);
    let values: Vec<u64> = (0..=2 * BLOCK).map(|_| random.next()).collect();
    for count in 0..values.len() {
        for level in variants() {
            // One more on each side.
            let (mut slots, mut lengths) = (vec![[b'#'; TEXT]; count + 2], vec![b'#'; count + 2]);
            write_all_at(level, &values[..count], &mut slots[1..], &mut lengths[1..]);
            for (slot, length) in [(slots[0], lengths[0]), (slots[count + 1], lengths[count + 1])] {
                assert!(slot.iter().all(|byte| *byte == b'#') && length == b'#', "what is around them is the caller's");
            }
            for ((bits, slot), length) in values.iter().zip(&slots[1..=count]).zip(&lengths[1..]) {
                assert_eq!(slot[..usize::from(*length)], scalar_text(*bits), "{level:?}");
            }
        }
    }
}

/// Otherwise columns of prices would be walked over again to count what is no number.
#[test]
fn usual_values_are_known_to_be_finite() {
    let values: Vec<u64> = (0..3 * BLOCK + 5).map(|value| (value as f64 / 8.0 - 7.0).to_bits()).collect();
    for level in variants().filter(|level| *level != Level::Scalar) {
        let (mut slots, mut lengths) = (vec![[0; TEXT]; values.len()], vec![0; values.len()]);
        assert!(!write_all_at(level, &values, &mut slots, &mut lengths), "{level:?}");
    }
}

/// Numbers of any size, least limb first; as much of them as the tests below need.
mod big {
    pub(super) type Number = Vec<u32>;

    pub(super) fn times(number: &mut Number, factor: u32) {
        let mut carry = 0;
        for limb in number.iter_mut() {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry != 0 {
            number.push(carry as u32);
        }
    }

    pub(super) fn shift_left(number: &mut Number, bits: usize) {
        for _ in 0..bits % 32 {
            times(number, 2);
        }
        number.splice(0..0, std::iter::repeat_n(0, bits / 32));
    }

    pub(super) fn is_less(left: &Number, right: &Number) -> bool {
        let length = left.len().max(right.len());
        let limb = |number: &Number, at: usize| number.get(at).copied().unwrap_or(0);
        for at in (0..length).rev() {
            if limb(left, at) != limb(right, at) {
                return limb(left, at) < limb(right, at);
            }
        }
        false
    }

    pub(super) fn of(value: u128) -> Number {
        (0..4).map(|limb| (value >> (32 * limb)) as u32).collect()
    }

    pub(super) fn bits(number: &Number) -> usize {
        (0..number.len())
            .rev()
            .find(|at| number[*at] != 0)
            .map_or(0, |at| at * 32 + 32 - number[at].leading_zeros() as usize)
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn powers_of_ten_are_rounded_down() {
    use super::tables::{POW10_HI, POW10_LO, POWERS};
    for i in 0..POWERS {
        let exponent = 323 - i as i64;
        let entry = u128::from(POW10_HI[i]) << 64 | u128::from(POW10_LO[i]);
        assert!(entry >> 127 == 1);
        let mut power = big::of(1);
        (0..exponent.unsigned_abs()).for_each(|_| big::times(&mut power, 10));
        // entry * 2^e <= 10^exponent < (entry + 1) * 2^e, both sides made whole.
        let (mut low, mut high, mut exact) = (big::of(entry), big::of(entry.wrapping_add(1)), big::of(1));
        if entry == u128::MAX {
            high = vec![0, 0, 0, 0, 1];
        }
        if exponent >= 0 {
            exact = power;
            let shift = big::bits(&exact) as i64 - 128;
            if shift >= 0 {
                big::shift_left(&mut low, shift as usize);
                big::shift_left(&mut high, shift as usize);
            } else {
                big::shift_left(&mut exact, -shift as usize);
            }
        } else {
            // 2^n / 10^-exponent has 128 bits.
            let shift = big::bits(&power) + 127;
            big::shift_left(&mut exact, shift);
            let multiply = |number: &big::Number| {
                let mut product = number.clone();
                (0..exponent.unsigned_abs()).for_each(|_| big::times(&mut product, 10));
                product
            };
            (low, high) = (multiply(&low), multiply(&high));
        }
        assert!(!big::is_less(&exact, &low) && big::is_less(&exact, &high), "10^{exponent}");
    }
}

/// The least `x` with `low <= factor * x mod modulus <= high`, if there is one that fits.
///
/// By the recursion of Euclid's algorithm: if no multiple lands in the interval before the first wrap, what the wraps
/// miss it by is the same question with the modulus for the factor.
fn least_multiple(factor: u128, modulus: u128, low: u128, high: u128) -> Option<u128> {
    if low == 0 {
        return Some(0);
    }
    if factor == 0 {
        return None;
    }
    let first = low.div_ceil(factor);
    if first * factor <= high {
        return Some(first);
    }
    let negative = |value: u128| (factor - value % factor) % factor;
    let wraps = least_multiple(modulus % factor, factor, negative(high), negative(low))?;
    // (modulus * wraps + low) / factor, rounded up: nearly, and then exactly, as what wraps at 2^128 is below 2^124.
    let nearly = (modulus as f64 * wraps as f64 + low as f64) / factor as f64;
    let first = (nearly as u128).saturating_sub(8);
    (first..first + 17).find(|x| {
        let lands = factor.wrapping_mul(*x).wrapping_sub(modulus.wrapping_mul(wraps));
        (low..=high).contains(&lands)
    })
}

/// Values whose digits lie nearest to where the arithmetic changes its mind, for each exponent: a tie of the last digit,
/// or an integer at an end of the interval. Nothing random comes near (`design/simd-float.md` 6).
#[cfg(target_arch = "x86_64")]
fn hard_values() -> Vec<u64> {
    use super::tables::{POW10_HI, POW10_LO};
    // A digit is so much; its fractions as far as the power of ten has bits.
    const ONE: u128 = 1 << 124;
    let mut values = Vec::new();
    for raw in 1..0x7ff_u64 {
        let index = ((raw * 315_653 + 411_649) >> 20) as usize;
        let shift =
            ((index as i64 * 217_707 + 2048 * 65_536 + 65_535 - 323 * 217_707) >> 16) - raw as i64 + 1075 - 2048;
        assert!((1..=4).contains(&shift), "{raw}");
        // What one unit of the significand is in digits.
        let unit = (u128::from(POW10_HI[index]) << 64 | u128::from(POW10_LO[index])) >> (3 + shift);
        for (factor, target) in [(10, ONE / 2), (1, unit / 2), (1, ONE - unit / 2)] {
            let step = unit * factor % ONE;
            // From the least significand, 2^52, on.
            let base = (0..52).fold(step, |value, _| value * 2 % ONE);
            // Just below and just above, so near as any.
            let found = [true, false].into_iter().flat_map(|is_below| {
                (58..76).find_map(|bits| {
                    let below = if is_below { 1 << bits } else { 0 };
                    let low = (2 * ONE + target - base - below) % ONE;
                    let high = low + (1 << bits);
                    (high < ONE)
                        .then(|| least_multiple(step, ONE, low, high))
                        .flatten()
                        .filter(|found| *found < 1 << 52)
                })
            });
            values.extend(found.flat_map(|found| {
                let bits = raw << 52 | found as u64;
                [bits.wrapping_sub(1), bits, bits + 1]
            }));
        }
    }
    values
}

#[cfg(target_arch = "x86_64")]
#[test]
fn hard_values_are_as_the_scalar_variants() {
    let values = hard_values();
    assert!(values.len() > 30_000, "{}", values.len());
    check(&values);
    // Found by others.
    check_floats([1.3076622631878654e65, 1.3588129002659584e-245]);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn every_exponent_has_its_power() {
    use super::tables::POWERS;
    for raw in 0..=0x7ff_u64 {
        for power in [0, 131_072] {
            assert!(((raw * 315_653 + 411_649 - power) >> 20) < POWERS as u64);
        }
    }
}
