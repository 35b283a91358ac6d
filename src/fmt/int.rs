//! Decimal text of integers and timestamps: `itoa` for any value, eight digits at a time where a block allows it.

use super::SLOT;
use crate::simd::also_for_avx2;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Level, level};

/// 10^8: what fits into one word of eight digits.
pub(crate) const WORD: u64 = 100_000_000;

/// 10^16: what fits into two words.
pub(crate) const TWO_WORDS: u64 = WORD * WORD;

/// Writes the decimal text of `value` to the start of `slot` and returns its length: at most 20.
pub(crate) fn write(value: i64, slot: &mut [u8; SLOT]) -> usize {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(value).as_bytes();
    slot[..text.len()].copy_from_slice(text);
    text.len()
}

/// The eight decimal digits of `value`, leading zeros included, as the bytes of a little-endian word.
///
/// Splits into halves, quarters and digits inside one register: three multiplications, no loop.
///
/// `value` must be below [`WORD`]; above it the digits are wrong.
#[inline]
pub(crate) fn eight_digits(value: u64) -> u64 {
    debug_assert!(value < WORD, "more than eight digits");
    const TEN_THOUSAND: u64 = 10_000;
    // A multiplication and a shift, exact below 2^32; a division by a constant needs the upper half of a product,
    // which vectors do not have.
    let quotient = (value * 3_518_437_209) >> 45;
    let halves = quotient | ((value - quotient * TEN_THOUSAND) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let quarters = hundreds | ((halves - hundreds * 100) << 16);
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    (tens | ((quarters - tens * 10) << 8)) | 0x3030_3030_3030_3030
}

/// The sixteen last digits of each value above `base`, as two words: the first eight, and the rest.
///
/// `base` is a multiple of [`TWO_WORDS`], and each value lies in `base..base + TWO_WORDS`.
pub(crate) fn sixteen_digits(values: &[i64], base: u64, digits: &mut Vec<[u64; 2]>) {
    digits.resize(values.len(), [0; 2]);
    #[cfg(target_arch = "x86_64")]
    if level() == Level::Avx512 {
        // SAFETY: the level is available.
        unsafe { sixteen_avx512(values, base, digits) };
        return;
    }
    sixteen_scalar(values, base, digits);
}

/// One value after the other. Neighbours mostly share their high word: 10^8 nanoseconds are 100 ms.
fn sixteen_scalar(values: &[i64], base: u64, digits: &mut [[u64; 2]]) {
    let (mut last, mut high) = (u64::MAX, 0);
    for (value, digits) in values.iter().zip(digits) {
        let rest = *value as u64 - base;
        let upper = rest / WORD;
        if upper != last {
            last = upper;
            high = eight_digits(upper);
        }
        *digits = [high, eight_digits(rest - upper * WORD)];
    }
}

/// Eight values at once, where the compiler has 64-bit multiplications and conversions in vectors.
///
/// The quotient by 10^8 goes through `f64` and may be one too large: values reach beyond 2^53, and `1e-8` lies a little
/// above 10^-8. The remainder tells, and mends it; the other way, which no value was seen to take, costs nothing more.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn sixteen_avx512(values: &[i64], base: u64, digits: &mut [[u64; 2]]) {
    for (value, digits) in values.iter().zip(digits) {
        let rest = (*value as u64).wrapping_sub(base) as i64;
        let quotient = rest as f64 * 1e-8;
        // SAFETY: `rest` is in 0..10^16, so the quotient is finite and far inside an `i64`.
        let guess: i64 = unsafe { quotient.to_int_unchecked() };
        let over = rest - guess * WORD as i64;
        let mend = i64::from(over >= WORD as i64) - i64::from(over < 0);
        let upper = guess + mend;
        *digits = [eight_digits(upper as u64), eight_digits((over - mend * WORD as i64) as u64)];
    }
}

also_for_avx2! {
    /// The least and the greatest value; of nothing, an empty range.
    pub(crate) fn range(values: &[i64]) -> (i64, i64) = range_any
}

#[inline(always)]
fn range_any(values: &[i64]) -> (i64, i64) {
    values.iter().fold((i64::MAX, i64::MIN), |(min, max), value| (min.min(*value), max.max(*value)))
}

/// The text of `value` below [`WORD`] without leading zeros: the word to store and its length, 1 to 8.
#[inline]
pub(crate) fn short(value: u64) -> (u64, u8) {
    let digits = eight_digits(value);
    // The lowest byte is the first digit; `0` is 0x30, so the low nibbles tell where the first other digit is.
    let zeros = ((digits & 0x0f0f_0f0f_0f0f_0f0f) | (1 << 56)).trailing_zeros() / 8;
    (digits >> (zeros * 8), 8 - zeros as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> impl Iterator<Item = u64> {
        let edges = (0..8).flat_map(|e| {
            let power = 10u64.pow(e);
            [power.saturating_sub(1), power, power + 1, power * 9, power * 10 - 1]
        });
        edges.chain((0..WORD).step_by(12_347)).filter(|v| *v < WORD)
    }

    #[test]
    fn eight_digits_equal_formatting() {
        for value in samples() {
            assert_eq!(eight_digits(value).to_le_bytes().as_slice(), format!("{value:08}").as_bytes());
        }
    }

    #[test]
    fn sixteen_digits_equal_formatting_in_every_variant() {
        let base = 123 * TWO_WORDS;
        let mut values = Vec::new();
        for upper in samples().step_by(3).chain([0, WORD - 1]) {
            for lower in [0, 1, 2, 49_999_999, 50_000_000, WORD - 2, WORD - 1] {
                values.push((base + upper * WORD + lower) as i64);
            }
        }
        let expected: Vec<String> = values.iter().map(|v| format!("{:016}", *v as u64 - base)).collect();
        let check = |digits: &[[u64; 2]]| {
            for (words, expected) in digits.iter().zip(&expected) {
                assert_eq!(words.map(u64::to_le_bytes).concat(), expected.as_bytes());
            }
        };
        let mut digits = Vec::new();
        sixteen_digits(&values, base, &mut digits);
        check(&digits);
        digits.fill([0; 2]);
        sixteen_scalar(&values, base, &mut digits);
        check(&digits);
    }

    #[test]
    fn short_equals_formatting() {
        for value in samples() {
            let (word, length) = short(value);
            assert_eq!(&word.to_le_bytes()[..length as usize], value.to_string().as_bytes());
        }
    }

    #[test]
    fn any_integer_fits_a_slot() {
        for value in [i64::MIN, -1, 0, 7, i64::MAX] {
            let mut slot = [0; SLOT];
            let length = write(value, &mut slot);
            assert_eq!(&slot[..length], value.to_string().as_bytes());
        }
    }
}
