//! Sixty-four values at once with AVX2: see the parent module for the arithmetic.
//!
//! Four lanes, no 64-bit multiplication: the product is made of limbs of 32 bits. Passes as in `avx512`, for the same
//! reason; characters go to their places sixteen digits at a time, and the 17th by a store of its own.

use std::arch::x86_64::*;

use super::tables::{
    CONSTANTS, EXPONENT_TEXTS, LAST_PLACES, LEAST_EXPONENT, LEAST_POINT, POW10_HI, POW10_LO, POWERS_ROOM, SCIENTIFIC,
    SHUFFLES, TEXT,
};
use super::{BLOCK, scalar, set_bits};
use crate::fmt::lanes::avx2::{self as lanes, LANES, all, sixteen_digits};

const MASK_32: i64 = 0xffff_ffff;
const MASK_52: i64 = (1 << 52) - 1;

/// What the passes hand on, by value. Made once for many blocks.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Scratch {
    /// Upper and lower half of the power of ten, and how far to shift its product.
    hi: [u64; BLOCK],
    lo: [u64; BLOCK],
    shifts: [u64; BLOCK],
    /// The product: whole and part.
    whole: [u64; BLOCK],
    part: [u64; BLOCK],
    /// The 17th digit and [`HAS_LAST`], or zero.
    last: [u64; BLOCK],
    rows: [u64; BLOCK],
    /// The place of the point, counted from before the first digit, plus one.
    points: [u64; BLOCK],
    /// Digits, with zeros at their end.
    most: [u64; BLOCK],
    /// The length of what is not digits before the point, or significant ones.
    rests: [u64; BLOCK],
    /// The first and the second eight digits of each value, as numbers below ten.
    spelled: [[u64; 2]; BLOCK],
    /// One bit a value: notation is scientific; the value is none that this arithmetic is for.
    scientific: u64,
    special: u64,
}

impl Scratch {
    pub(super) const fn new() -> Self {
        Self {
            hi: [0; BLOCK],
            lo: [0; BLOCK],
            shifts: [0; BLOCK],
            whole: [0; BLOCK],
            part: [0; BLOCK],
            last: [0; BLOCK],
            rows: [0; BLOCK],
            points: [0; BLOCK],
            most: [0; BLOCK],
            rests: [0; BLOCK],
            spelled: [[0; 2]; BLOCK],
            scientific: 0,
            special: 0,
        }
    }
}

/// Writes the texts of a block to their slots, and their lengths; of a block that is not `FULL` only those of the
/// first `values`, and of some behind them. Tells whether any value is none that the arithmetic is for, or is written with
/// an exponent.
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt")]
pub(super) fn write_block<const FULL: bool>(
    values: usize,
    bits: &[u64; BLOCK],
    slots: &mut [[u8; TEXT]; BLOCK],
    lengths: &mut [u8; BLOCK],
    scratch: &mut Scratch,
) -> bool {
    let groups = if FULL { BLOCK / LANES } else { values.div_ceil(LANES).min(BLOCK / LANES) };
    (scratch.scientific, scratch.special) = (0, 0);
    for group in 0..groups {
        look_up(bits, group, scratch);
    }
    for group in 0..groups {
        multiply(bits, group, scratch);
    }
    for group in 0..groups {
        choose(bits, group, scratch);
    }
    for group in 0..groups {
        spell(group, scratch);
    }
    for i in 0..BLOCK {
        lengths[i] = lay_out(i, scratch, &mut slots[i]);
    }
    let is_odd = scratch.scientific | scratch.special != 0;
    if is_odd {
        mend(bits, scratch, slots, lengths);
    }
    is_odd
}

/// The four values of a group.
#[inline]
#[target_feature(enable = "avx2")]
fn load(values: &[u64; BLOCK], group: usize) -> __m256i {
    let (groups, _) = values.as_chunks();
    lanes::load(&groups[group])
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(values: &mut [u64; BLOCK], group: usize, vector: __m256i) {
    let (groups, _) = values.as_chunks_mut();
    lanes::store(&mut groups[group], vector);
}

/// The entries of a table of powers: one by one, which took a twentieth less of the whole than to gather them (AMD EPYC of
/// the first generation, `cargo bench --bench float`).
#[inline]
#[target_feature(enable = "avx2")]
fn entries(table: &'static [u64; POWERS_ROOM], indices: [u64; LANES]) -> __m256i {
    let [a, b, c, d] = indices.map(|index| table[index as usize % POWERS_ROOM] as i64);
    _mm256_setr_epi64x(a, b, c, d)
}

/// All bits of the lanes where `left` is less than `right`, both unsigned.
#[inline]
#[target_feature(enable = "avx2")]
fn less(left: __m256i, right: __m256i) -> __m256i {
    let flip = all(i64::MIN);
    _mm256_cmpgt_epi64(_mm256_xor_si256(right, flip), _mm256_xor_si256(left, flip))
}

/// One bit a lane.
#[inline]
#[target_feature(enable = "avx2")]
fn bits_of(mask: __m256i) -> u64 {
    u64::from(_mm256_movemask_pd(_mm256_castsi256_pd(mask)) as u32)
}

#[inline]
#[target_feature(enable = "avx2")]
fn is_zero(value: __m256i) -> __m256i {
    _mm256_cmpeq_epi64(value, _mm256_setzero_si256())
}

#[inline]
#[target_feature(enable = "avx2")]
fn fraction_of(bits: __m256i) -> __m256i {
    _mm256_and_si256(bits, all(MASK_52))
}

/// First pass: the power of ten, by the exponent.
#[inline]
#[target_feature(enable = "avx2")]
fn look_up(bits: &[u64; BLOCK], group: usize, scratch: &mut Scratch) {
    let bits = load(bits, group);
    let raw = _mm256_and_si256(_mm256_srli_epi64::<52>(bits), all(0x7ff));
    let is_power = is_zero(fraction_of(bits));
    let scaled = _mm256_add_epi64(_mm256_mul_epu32(raw, all(315_653)), all(411_649));
    let scaled = _mm256_sub_epi64(scaled, _mm256_and_si256(is_power, all(131_072)));
    let index = _mm256_srli_epi64::<20>(scaled);
    let shift = _mm256_add_epi64(_mm256_mul_epu32(index, all(217_707)), all(2048 * 65_536 + 65_535 - 323 * 217_707));
    let shift = _mm256_add_epi64(_mm256_sub_epi64(_mm256_srli_epi64::<16>(shift), raw), all(1075 - 2048));
    let mut indices = [0; LANES];
    lanes::store(&mut indices, index);
    store(&mut scratch.hi, group, entries(&POW10_HI, indices));
    store(&mut scratch.lo, group, entries(&POW10_LO, indices));
    store(&mut scratch.shifts, group, shift);
    // Until the layout is known: the index.
    let index = _mm256_blendv_epi8(index, all(309), is_zero(_mm256_slli_epi64::<1>(bits)));
    store(&mut scratch.points, group, index);
}

/// Second pass: the significand times the power of ten.
#[inline]
#[target_feature(enable = "avx2")]
fn multiply(bits: &[u64; BLOCK], group: usize, scratch: &mut Scratch) {
    let bits = load(bits, group);
    let significand = _mm256_or_si256(fraction_of(bits), all(1 << 52));
    let (hi, lo) = (load(&scratch.hi, group), load(&scratch.lo, group));
    let upper = |value| _mm256_srli_epi64::<32>(value);
    let low = |value| _mm256_and_si256(value, all(MASK_32));
    let times = |left, right| _mm256_mul_epu32(left, right);
    let plus = |left, right| _mm256_add_epi64(left, right);
    // Doubled, so that its product has at least 64 bits to shift out.
    let significand = _mm256_slli_epi64::<1>(significand);
    let (s0, s1) = (significand, upper(significand));
    let (p0, p1, p2, p3) = (lo, upper(lo), hi, upper(hi));
    // Column by column, 32 bits each; no sum reaches 2^64, as s1 has 22 bits.
    let m = plus(times(s0, p1), upper(times(s0, p0)));
    let n = plus(times(s1, p0), low(m));
    let carry = plus(upper(m), upper(n));
    let m = plus(times(s0, p2), carry);
    let n = plus(times(s1, p1), low(m));
    let column2 = low(n);
    let carry = plus(upper(m), upper(n));
    let m = plus(times(s0, p3), carry);
    let n = plus(times(s1, p2), low(m));
    let lower = _mm256_or_si256(column2, _mm256_slli_epi64::<32>(n));
    let top = plus(times(s1, p3), plus(upper(m), upper(n)));
    let shift = load(&scratch.shifts, group);
    let part =
        _mm256_or_si256(_mm256_srlv_epi64(lower, shift), _mm256_sllv_epi64(top, _mm256_sub_epi64(all(64), shift)));
    store(&mut scratch.whole, group, _mm256_srlv_epi64(top, shift));
    store(&mut scratch.part, group, part);
}

/// The upper word of 10 * `part` + `more`.
#[inline]
#[target_feature(enable = "avx2")]
fn tenth(part: __m256i, more: u64) -> __m256i {
    let lower = _mm256_add_epi64(_mm256_mul_epu32(part, all(10)), all(i64::from(more as u32)));
    let upper = _mm256_mul_epu32(_mm256_srli_epi64::<32>(part), all(10));
    let upper = _mm256_add_epi64(upper, all((more >> 32) as i64));
    _mm256_srli_epi64::<32>(_mm256_add_epi64(upper, _mm256_srli_epi64::<32>(lower)))
}

/// Third pass: rounding, and the layout.
#[inline]
#[target_feature(enable = "avx2")]
fn choose(bits: &[u64; BLOCK], group: usize, scratch: &mut Scratch) {
    let bits = load(bits, group);
    let is_power = is_zero(fraction_of(bits));
    let nothing = is_zero(_mm256_slli_epi64::<1>(bits));
    let raw = _mm256_and_si256(_mm256_srli_epi64::<52>(bits), all(0x7ff));
    let is_special = _mm256_or_si256(_mm256_cmpeq_epi64(raw, all(0x7ff)), is_zero(raw));
    let is_special = _mm256_andnot_si256(nothing, is_special);

    let part = load(&scratch.part, group);
    let half = _mm256_srlv_epi64(load(&scratch.hi, group), load(&scratch.shifts, group));
    let even = _mm256_andnot_si256(_mm256_or_si256(bits, is_power), all(1));
    let half_up = _mm256_add_epi64(half, even);
    let is_up = less(_mm256_add_epi64(part, half_up), part);
    let half_down = _mm256_blendv_epi8(half_up, _mm256_srli_epi64::<1>(half_up), is_power);
    let is_down = less(part, half_down);
    let digits = _mm256_sub_epi64(load(&scratch.whole, group), is_up);
    let digits = _mm256_andnot_si256(nothing, digits);

    let mut last = tenth(part, (1 << 63) + 6);
    last = _mm256_blendv_epi8(last, all(2), _mm256_cmpeq_epi64(part, all(1 << 62)));
    if bits_of(is_power) != 0 {
        let nearest = tenth(part, (1 << 63) - 1);
        let least = tenth(_mm256_sub_epi64(part, _mm256_srli_epi64::<1>(half)), u64::MAX);
        // Both are small.
        let most = _mm256_max_epu32(nearest, least);
        last = _mm256_blendv_epi8(last, most, is_power);
    }
    let has_none = _mm256_or_si256(_mm256_or_si256(is_up, is_down), nothing);
    let last = _mm256_andnot_si256(has_none, _mm256_or_si256(last, all(HAS_LAST as i64)));

    let is_short = _mm256_cmpgt_epi64(all(1_000_000_000_000_000), digits);
    let point = _mm256_add_epi64(_mm256_sub_epi64(load(&scratch.points, group), all(306)), is_short);
    let kind = _mm256_sub_epi64(point, all(LEAST_POINT + 1));
    let beyond = _mm256_or_si256(
        _mm256_cmpgt_epi64(kind, all(SCIENTIFIC as i64 - 1)),
        _mm256_cmpgt_epi64(_mm256_setzero_si256(), kind),
    );
    let kind = _mm256_blendv_epi8(kind, all(SCIENTIFIC as i64), beyond);
    let row = _mm256_add_epi64(_mm256_slli_epi64::<2>(kind), _mm256_and_si256(is_short, all(2)));
    let sign = _mm256_srli_epi64::<63>(bits);
    let row = _mm256_add_epi64(row, sign);
    let digits_at_most = _mm256_add_epi64(_mm256_add_epi64(all(17), is_short), has_none);
    // Of a negative number, the upper half becomes zero.
    let rest = _mm256_max_epi32(all(1), _mm256_sub_epi64(all(3), point));

    store(&mut scratch.whole, group, digits);
    store(&mut scratch.last, group, last);
    store(&mut scratch.rows, group, row);
    store(&mut scratch.points, group, point);
    store(&mut scratch.most, group, digits_at_most);
    store(&mut scratch.rests, group, _mm256_add_epi64(rest, sign));
    scratch.scientific |= bits_of(beyond) << (group * LANES);
    scratch.special |= bits_of(is_special) << (group * LANES);
}

/// Above a 17th digit, which is zero where there is none.
const HAS_LAST: u64 = 1 << 63;

/// Fourth pass: the digits, a byte each.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn spell(group: usize, scratch: &mut Scratch) {
    let (low, high) = sixteen_digits(load(&scratch.whole, group));
    let (groups, _) = scratch.spelled.as_chunks_mut::<LANES>();
    let (words, _) = groups[group].as_flattened_mut().as_chunks_mut();
    lanes::store(&mut words[0], low);
    lanes::store(&mut words[1], high);
}

/// Fifth pass: every character to its place. Gives the length that plain notation has.
#[inline]
#[target_feature(enable = "avx2,lzcnt")]
fn lay_out(i: usize, scratch: &Scratch, slot: &mut [u8; TEXT]) -> u8 {
    let row = usize::from(scratch.rows[i] as u8);
    // SAFETY: two words are 16 bytes.
    let digits = unsafe { _mm_loadu_si128(scratch.spelled[i].as_ptr().cast()) };
    let digits = _mm256_broadcastsi128_si256(_mm_or_si128(digits, _mm_set1_epi8(0x30)));
    let text = _mm256_or_si256(_mm256_shuffle_epi8(digits, table(&SHUFFLES.0[row])), table(&CONSTANTS.0[row]));
    // SAFETY: a slot has 32 bytes.
    unsafe { _mm256_storeu_si256(slot.as_mut_ptr().cast(), text) };
    slot[usize::from(LAST_PLACES[row]) % TEXT] = b'0' + scratch.last[i] as u8;
    (count(i, scratch).max(scratch.points[i] as i64) + scratch.rests[i] as i64) as u8
}

#[inline]
#[target_feature(enable = "avx2")]
fn table(row: &[u8; TEXT]) -> __m256i {
    // SAFETY: a row has 32 bytes.
    unsafe { _mm256_loadu_si256(row.as_ptr().cast()) }
}

/// How many digits are left without the zeros at the end; of zero, none that counts.
#[inline]
#[target_feature(enable = "lzcnt")]
fn count(i: usize, scratch: &Scratch) -> i64 {
    let [first, second] = scratch.spelled[i];
    // A 17th digit has no zeros behind it. Of the others, the last one is in the highest byte.
    let second = second | scratch.last[i];
    let trailing = if second == 0 { 64 + first.leading_zeros() } else { second.leading_zeros() } / 8;
    scratch.most[i] as i64 - i64::from(trailing)
}

/// Ends texts in scientific notation with their exponents, and writes what is not finite or subnormal.
#[cold]
#[inline(never)]
#[target_feature(enable = "lzcnt")]
fn mend(bits: &[u64; BLOCK], scratch: &Scratch, slots: &mut [[u8; TEXT]; BLOCK], lengths: &mut [u8; BLOCK]) {
    for i in set_bits(scratch.special) {
        lengths[i] = scalar::write(f64::from_bits(bits[i]), &mut slots[i]) as u8;
    }
    for i in set_bits(scratch.scientific & !scratch.special) {
        let slot = &mut slots[i];
        let sign = usize::from(scratch.rows[i] & 1 == 1);
        let count = count(i, scratch) as usize;
        // The point and what follows it only if something does.
        let end = sign + if count == 1 { 1 } else { count + 1 };
        let exponent = scratch.points[i] as i64 - 2;
        let text = EXPONENT_TEXTS[(exponent - LEAST_EXPONENT) as usize].to_le_bytes();
        slot[end..end + 8].copy_from_slice(&text);
        lengths[i] = end as u8 + text[7];
    }
}
