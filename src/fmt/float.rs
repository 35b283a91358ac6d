//! Text of an `f64` for protocol version 1: the shortest digits that round-trip, in the official client's layout.
//!
//! The rule (`spec/dataframe.md` 5.2): with digits d and value = 0.d x 10^k, plain notation for -5 < k <= 16, else
//! scientific without `+` and without `.0` for a single digit. `zmij` finds the digits; its text differs only in the
//! `+` of positive exponents, which is taken out here, and in the spelling of what is not finite.

use super::SLOT;

/// Writes the text of `value` to the start of `slot` and returns its length: at most 24.
pub(crate) fn write(value: f64, slot: &mut [u8; SLOT]) -> usize {
    if !value.is_finite() {
        let text: &[u8] = if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        };
        slot[..text.len()].copy_from_slice(text);
        return text.len();
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value).as_bytes();
    let length = text.len();
    slot[..length].copy_from_slice(text);
    // Only texts of at least 1e16 have a plus, and they are the only ones with 'e' followed by '+'.
    if value.abs() >= 1e16
        && let Some(plus) = text.iter().position(|&b| b == b'+')
    {
        slot.copy_within(plus + 1..length, plus);
        return length - 1;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64) -> String {
        let mut slot = [0; SLOT];
        let length = write(value, &mut slot);
        String::from_utf8(slot[..length].to_vec()).expect("ASCII")
    }

    #[test]
    fn the_table_of_the_specification() {
        for (value, expected) in [
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
            (1e-5, "0.00001"),
            (9.9e-6, "9.9e-6"),
            (1e-6, "1e-6"),
            (1.5e-6, "1.5e-6"),
            (1.5e300, "1.5e300"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (-f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (1.0 / 3.0, "0.3333333333333333"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn equal_to_ryu_on_random_bits_and_around_powers_of_ten() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            // splitmix64: seeded, so that a failure repeats.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let check = |value: f64| {
            if value.is_finite() {
                assert_eq!(text(value), ryu::Buffer::new().format_finite(value), "{:#x}", value.to_bits());
            }
        };
        for _ in 0..200_000 {
            check(f64::from_bits(random()));
            check((random() % 1_000_000) as f64 / 100.0);
        }
        for exponent in -330..309 {
            let power: f64 = format!("1e{exponent}").parse().expect("a number");
            for bits in [-2i64, -1, 0, 1, 2] {
                check(f64::from_bits(power.to_bits().wrapping_add_signed(bits)));
            }
        }
    }
}
