//! Decimal text of integers and timestamps: `itoa` for any value, eight digits at a time where a block allows it.

use super::SLOT;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::simd::{Level, level, prefetch_ahead};

/// Values that a kernel takes at once.
const LANES: usize = 8;

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
    sixteen_digits_at(level(), values, base, digits);
}

/// As [`sixteen_digits`], with an instruction set that is available.
pub(crate) fn sixteen_digits_at(level: Level, values: &[i64], base: u64, digits: &mut [[u64; 2]]) {
    assert!(level.is_available() && digits.len() == values.len(), "an instruction set that the processor lacks");
    let (groups, rest) = values.as_chunks::<LANES>();
    groups_of_sixteen(level, groups, base, digits.as_chunks_mut().0);
    if rest.is_empty() {
        return;
    }
    match (values.last_chunk(), digits.last_chunk_mut()) {
        // With what is behind the groups, some of them once more.
        (Some(last), Some(digits)) => {
            groups_of_sixteen(level, std::slice::from_ref(last), base, std::slice::from_mut(digits));
        }
        _ => sixteen_scalar(values, base, digits),
    }
}

fn groups_of_sixteen(level: Level, groups: &[[i64; LANES]], base: u64, digits: &mut [[[u64; 2]; LANES]]) {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => {
            #[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
            fn all(values: &[[i64; LANES]], base: u64, digits: &mut [[[u64; 2]; LANES]]) {
                values.iter().zip(digits).for_each(|(values, digits)| avx512::sixteen(values, base, digits));
            }
            // SAFETY: the level is available.
            unsafe { all(groups, base, digits) };
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => {
            #[target_feature(enable = "avx2,fma")]
            fn all(values: &[[i64; LANES]], base: u64, digits: &mut [[[u64; 2]; LANES]]) {
                values.iter().zip(digits).for_each(|(values, digits)| avx2::sixteen(values, base, digits));
            }
            // SAFETY: the level is available.
            unsafe { all(groups, base, digits) };
        }
        _ => sixteen_scalar(groups.as_flattened(), base, digits.as_flattened_mut()),
    }
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

/// The text of values below [`WORD`] without leading zeros, to their slots, of which eight bytes are written, and its
/// length, 1 to 8.
///
/// # Panics
/// If there are fewer slots or lengths than values.
pub(crate) fn write_short(values: &[i64], slots: &mut [[u8; SLOT]], lengths: &mut [u8]) {
    write_short_at(level(), values, slots, lengths);
}

/// As [`write_short`], with an instruction set that is available.
pub(crate) fn write_short_at(level: Level, values: &[i64], slots: &mut [[u8; SLOT]], lengths: &mut [u8]) {
    assert!(level.is_available(), "an instruction set that the processor lacks");
    let (slots, lengths) = (&mut slots[..values.len()], &mut lengths[..values.len()]);
    let (groups, rest) = values.as_chunks::<LANES>();
    let (group_slots, rest_slots) = slots.as_chunks_mut::<LANES>();
    let (group_lengths, rest_lengths) = lengths.as_chunks_mut::<LANES>();
    for ((values, slots), lengths) in groups.iter().zip(group_slots).zip(group_lengths) {
        let mut words = [0; LANES];
        match level {
            // SAFETY: the level is available.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { avx512::short(values, &mut words, lengths) },
            // SAFETY: the level is available.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { avx2::short(values, &mut words, lengths) },
            _ => {
                for ((value, word), length) in values.iter().zip(&mut words).zip(lengths) {
                    (*word, *length) = short(*value as u64);
                }
            }
        }
        for (slot, word) in slots.iter_mut().zip(words) {
            slot[..8].copy_from_slice(&word.to_le_bytes());
        }
    }
    for ((value, slot), length) in rest.iter().zip(rest_slots).zip(rest_lengths) {
        let (word, digits) = short(*value as u64);
        slot[..8].copy_from_slice(&word.to_le_bytes());
        *length = digits;
    }
}

/// The least and the greatest value; of nothing, an empty range.
pub(crate) fn range(values: &[i64]) -> (i64, i64) {
    range_at(level(), values)
}

/// As [`range`], with an instruction set that is available.
fn range_at(level: Level, values: &[i64]) -> (i64, i64) {
    assert!(level.is_available(), "an instruction set that the processor lacks");
    let (groups, _) = values.as_chunks::<LANES>();
    // With what is behind the groups, some of them once more: that does no harm.
    let Some(last) = values.last_chunk::<LANES>() else {
        return values.iter().fold((i64::MAX, i64::MIN), |(least, most), value| (least.min(*value), most.max(*value)));
    };
    match level {
        // SAFETY: the level is available.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512::range(groups, last) },
        // SAFETY: the level is available.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2::range(groups, last) },
        _ => {
            let (mut least, mut most) = (*last, *last);
            for (i, group) in groups.iter().enumerate() {
                prefetch_ahead(groups, i);
                for lane in 0..LANES {
                    least[lane] = least[lane].min(group[lane]);
                    most[lane] = most[lane].max(group[lane]);
                }
            }
            ends(least, most)
        }
    }
}

/// The least and the greatest of groups' lanes.
#[inline]
fn ends(least: [i64; LANES], most: [i64; LANES]) -> (i64, i64) {
    (least.into_iter().fold(i64::MAX, i64::min), most.into_iter().fold(i64::MIN, i64::max))
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
        for level in variants() {
            let mut digits = vec![[0; 2]; values.len()];
            sixteen_digits_at(level, &values, base, &mut digits);
            check(&digits);
            // Any number of values.
            for count in 0..40 {
                let mut digits = vec![[0; 2]; count];
                sixteen_digits_at(level, &values[..count], base, &mut digits);
                check(&digits);
            }
        }
    }

    fn variants() -> impl Iterator<Item = Level> {
        [Level::Scalar, Level::Avx2, Level::Avx512].into_iter().filter(|level| level.is_available())
    }

    #[test]
    fn short_integers_in_every_variant() {
        let values: Vec<i64> = samples().map(|value| value as i64).collect();
        for level in variants() {
            for count in (0..40).chain([values.len()]) {
                let (mut slots, mut lengths) = (vec![[b'#'; SLOT]; count], vec![0; count]);
                write_short_at(level, &values[..count], &mut slots, &mut lengths);
                for ((value, slot), length) in values.iter().zip(&slots).zip(lengths) {
                    assert_eq!(&slot[..usize::from(length)], value.to_string().as_bytes(), "{level:?}");
                    assert!(slot[8..].iter().all(|byte| *byte == b'#'));
                }
            }
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
    fn ranges_in_every_variant() {
        for level in variants() {
            assert_eq!(range_at(level, &[]), (i64::MAX, i64::MIN));
            for count in 1..40 {
                // The least and the greatest in each place in turn.
                for least in 0..count {
                    let most = (least + 1) % count;
                    let mut values: Vec<i64> = (0..count as i64).collect();
                    values[least] = -1;
                    values[most] = 100;
                    let expected = if count == 1 { (100, 100) } else { (-1, 100) };
                    assert_eq!(range_at(level, &values), expected, "{level:?}, {values:?}");
                    values[least] = i64::MIN;
                    values[most] = i64::MAX;
                    let expected = if count == 1 { (i64::MAX, i64::MAX) } else { (i64::MIN, i64::MAX) };
                    assert_eq!(range_at(level, &values), expected, "{level:?}, {values:?}");
                }
            }
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
