//! Bits, as Arrow has booleans and validity, to bytes, as the row loop reads both.

use std::ops::Range;

use arrow_buffer::BooleanBuffer;

/// A one in every byte.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Makes `out` a byte for each bit of these rows: `zero`, or `one`, which is no less.
///
/// Eight at a time: a bit at a time takes a third of what a whole row of the row loop does (`make bench`, mixed).
pub(super) fn to_bytes(bits: &BooleanBuffer, rows: Range<usize>, zero: u8, one: u8, out: &mut Vec<u8>) {
    out.clear();
    let count = rows.len();
    let bits = bits.slice(rows.start, count);
    for chunk in bits.bit_chunks().iter_padded() {
        let bytes = chunk.to_le_bytes().map(|byte| eight(byte, zero, one).to_le_bytes());
        out.extend_from_slice(bytes.as_flattened());
    }
    out.truncate(count);
}

/// A byte for each bit of `bits`, that of the lowest bit first.
#[inline]
fn eight(bits: u8, zero: u8, one: u8) -> u64 {
    // Each byte keeps one bit of a copy, and 0x7f carries that to the highest bit of its byte and never out of it.
    let kept = (u64::from(bits) * ONES) & 0x8040_2010_0804_0201;
    let set = ((kept + 0x7f * ONES) >> 7) & ONES;
    ONES * u64::from(zero) + set * u64::from(one - zero)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_at_all_offsets() {
        let all = BooleanBuffer::from_iter((0..=255_u8).flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)));
        for offset in 0..70 {
            for count in [0, 1, 7, 8, 9, 63, 64, 65, all.len() - offset] {
                let mut out = vec![7; 3];
                to_bytes(&all, offset..offset + count, b'f', b't', &mut out);
                let expected: Vec<u8> =
                    (offset..offset + count).map(|row| if all.value(row) { b't' } else { b'f' }).collect();
                assert_eq!(out, expected, "{count} from {offset}");
                to_bytes(&all, offset..offset + count, 0, 1, &mut out);
                let expected: Vec<u8> = (offset..offset + count).map(|row| u8::from(all.value(row))).collect();
                assert_eq!(out, expected, "{count} from {offset}");
            }
        }
    }
}
