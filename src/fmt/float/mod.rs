//! Text of `f64` for protocol version 1: the shortest digits that round-trip, in the official client's layout.
//!
//! The rule (`spec/dataframe.md` 5.2): with digits d and value = 0.d x 10^k, plain notation for -5 < k <= 16, else
//! scientific without `+` and without `.0` for a single digit.
//!
//! Why it is hard: a value costs some twenty nanoseconds by the best scalar code, more than everything else of its cell.
//! [`avx512`] and [`avx2`] take blocks of 64 values through the very arithmetic of `zmij` (the crate of that name, after
//! Raffaello Giulietti's Schubfach), bit for bit, so that its proof is theirs and it can be the oracle of their tests:
//!
//! - The significand times a power of ten, chosen by the exponent so that fifteen or sixteen digits are whole, has 181
//!   bits. Its whole part and the next 64 bits, the *part*, are all that counts; half a unit in the last place of the
//!   value is so many 2^-64 of it as the power of ten says (one more for even values, whose interval is closed).
//! - If part + half overflows the digits plus one lie in the interval, if half is more than the part the digits do:
//!   they are the shortest. Else a 17th digit follows, the nearest. `+ 6` in its rounding and the tie at a quarter are
//!   `zmij`'s. The lower neighbour of a power of two is nearer: it has rules of its own.
//! - Zeros at the end are cut by the length alone, and `.0` comes from zeros that are there anyway, so no lane branches.
//!
//! Subnormal values, infinities and NaN go to [`scalar`], a lane at a time, and exponents are appended likewise.
//!
//! Measured by `cargo bench --bench float`.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use scalar::write;

use crate::simd::{Level, level};

/// Bytes of a text's room: it has at most 24, and the rest is written, too.
pub(crate) const TEXT: usize = 32;

/// Values taken at once.
pub(crate) const BLOCK: usize = 64;

/// Writes the text of each value to its slot, of which any byte may be written, and its length: at most 24. Tells whether
/// any of them may be infinite or no number: else none is.
///
/// # Panics
/// If there are fewer slots or lengths than values.
pub(crate) fn write_all(bits: &[u64], slots: &mut [[u8; TEXT]], lengths: &mut [u8]) -> bool {
    write_all_at(level(), bits, slots, lengths)
}

/// As [`write_all`], with an instruction set that is available.
pub(crate) fn write_all_at(level: Level, bits: &[u64], slots: &mut [[u8; TEXT]], lengths: &mut [u8]) -> bool {
    assert!(level.is_available(), "an instruction set that the processor lacks");
    let (slots, lengths) = (&mut slots[..bits.len()], &mut lengths[..bits.len()]);
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => {
            let (mut scratch, mut is_odd) = (avx512::Scratch::new(), false);
            let rest = blocks(bits, slots, lengths, |bits, slots, lengths| {
                // SAFETY: the level is available, as has just been checked.
                is_odd |= unsafe { avx512::write_block::<true>(BLOCK, bits, slots, lengths, &mut scratch) };
            });
            last_block(rest, |values, bits, slots, lengths| {
                // SAFETY: as above.
                is_odd |= unsafe { avx512::write_block::<false>(values, bits, slots, lengths, &mut scratch) };
            });
            is_odd
        }
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => {
            let (mut scratch, mut is_odd) = (avx2::Scratch::new(), false);
            let rest = blocks(bits, slots, lengths, |bits, slots, lengths| {
                // SAFETY: the level is available, as has just been checked.
                is_odd |= unsafe { avx2::write_block::<true>(BLOCK, bits, slots, lengths, &mut scratch) };
            });
            last_block(rest, |values, bits, slots, lengths| {
                // SAFETY: as above.
                is_odd |= unsafe { avx2::write_block::<false>(values, bits, slots, lengths, &mut scratch) };
            });
            is_odd
        }
        _ => {
            for ((bits, slot), length) in bits.iter().zip(slots).zip(lengths) {
                *length = scalar::write(f64::from_bits(*bits), slot) as u8;
            }
            true
        }
    }
}

/// Fewer values than a block has, and where their texts and lengths go.
#[cfg(target_arch = "x86_64")]
type Rest<'a> = (&'a [u64], &'a mut [[u8; TEXT]], &'a mut [u8]);

/// Calls `write` for values a block at a time, and gives those that are left.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn blocks<'a>(
    bits: &'a [u64],
    slots: &'a mut [[u8; TEXT]],
    lengths: &'a mut [u8],
    mut write: impl FnMut(&[u64; BLOCK], &mut [[u8; TEXT]; BLOCK], &mut [u8; BLOCK]),
) -> Rest<'a> {
    let (full, rest) = bits.as_chunks::<BLOCK>();
    let (full_slots, rest_slots) = slots.as_chunks_mut::<BLOCK>();
    let (full_lengths, rest_lengths) = lengths.as_chunks_mut::<BLOCK>();
    for ((bits, slots), lengths) in full.iter().zip(full_slots).zip(full_lengths) {
        write(bits, slots, lengths);
    }
    (rest, rest_slots, rest_lengths)
}

/// Calls `write` for what is left, with zeros behind it, which cost least; small batches are nothing else.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn last_block(
    (rest, rest_slots, rest_lengths): Rest<'_>,
    write: impl FnOnce(usize, &[u64; BLOCK], &mut [[u8; TEXT]; BLOCK], &mut [u8; BLOCK]),
) {
    if rest.is_empty() {
        return;
    }
    let (mut bits, mut texts, mut lengths) = ([0; BLOCK], [[0; TEXT]; BLOCK], [0; BLOCK]);
    bits[..rest.len()].copy_from_slice(rest);
    write(rest.len(), &bits, &mut texts, &mut lengths);
    rest_slots.copy_from_slice(&texts[..rest.len()]);
    rest_lengths.copy_from_slice(&lengths[..rest.len()]);
}

/// Numbers of the bits that are set.
#[cfg(target_arch = "x86_64")]
fn set_bits(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        lowest
    })
}
