//! Decimal text of integers and timestamps: `itoa` for any value, eight digits at a time where a block allows it.

use super::SLOT;

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
    let quotient = value / TEN_THOUSAND;
    let halves = quotient | ((value - quotient * TEN_THOUSAND) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let quarters = hundreds | ((halves - hundreds * 100) << 16);
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    (tens | ((quarters - tens * 10) << 8)) | 0x3030_3030_3030_3030
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
