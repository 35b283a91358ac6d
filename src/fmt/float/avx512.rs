//! Sixty-four values at once with AVX-512: see the parent module for the arithmetic.
//!
//! Three passes over the block, each short enough for the processor to look past one group of eight lanes and begin the
//! next: one fused loop waits for its own chain of some two hundred cycles, and took a third longer.

use std::arch::x86_64::*;
use std::hint::black_box;

use super::tables::{
    Aligned, EXPONENT_TEXTS, LAST, LEAST_EXPONENT, LEAST_POINT, POW10_HI, POW10_LO, ROW_COUNT, ROWS, SCIENTIFIC, TEXT,
    UPPER_ROWS,
};
use super::{BLOCK, scalar, set_bits};
use crate::fmt::lanes::avx512::{self as lanes, LANES, ZEROS, all, bytes_of, sixteen_digits};

const MASK_52: i64 = (1 << 52) - 1;

/// What the passes hand on, by value. Made once for many blocks.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Scratch {
    /// Fifteen or sixteen digits as a number; then how many of all digits are left without the zeros at the end.
    digits: [u64; BLOCK],
    /// What follows the digits among the bytes that rows choose from: the last digit, point, zero, minus.
    extras: [u64; BLOCK],
    /// The row of the text, in a lane and as a byte.
    rows: [u64; BLOCK],
    row_bytes: [u8; BLOCK],
    /// The place of the point, counted from before the first digit, plus one.
    points: [u64; BLOCK],
    /// The first and the second eight digits as characters.
    firsts: [u64; BLOCK],
    seconds: [u64; BLOCK],
    /// One bit a value: there is a 17th digit; notation is scientific; the value is none that this arithmetic is for.
    has_last: [u8; BLOCK / LANES],
    scientific: [u8; BLOCK / LANES],
    special: [u8; BLOCK / LANES],
}

impl Scratch {
    pub(super) const fn new() -> Self {
        Self {
            digits: [0; BLOCK],
            extras: [0; BLOCK],
            rows: [0; BLOCK],
            row_bytes: [0; BLOCK],
            points: [0; BLOCK],
            firsts: [0; BLOCK],
            seconds: [0; BLOCK],
            has_last: [0; BLOCK / LANES],
            scientific: [0; BLOCK / LANES],
            special: [0; BLOCK / LANES],
        }
    }
}

/// Writes the texts of a block to their slots, and their lengths; of a block that is not `FULL` only those of the
/// first `values`, and of some behind them. Tells whether any value is none that the arithmetic is for, or is written with
/// an exponent.
#[target_feature(
    enable = "avx2,bmi1,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512ifma,avx512vbmi,avx512vbmi2,avx512cd"
)]
pub(super) fn write_block<const FULL: bool>(
    values: usize,
    bits: &[u64; BLOCK],
    slots: &mut [[u8; TEXT]; BLOCK],
    lengths: &mut [u8; BLOCK],
    scratch: &mut Scratch,
) -> bool {
    let groups = if FULL { BLOCK / LANES } else { values.div_ceil(LANES).min(BLOCK / LANES) };
    if !FULL {
        // Nobody needs those of the block before mended once more.
        (scratch.scientific, scratch.special) = Default::default();
    }
    let (mut odd, one) = (0, black_box(all(1)));
    for group in 0..groups {
        odd |= choose(bits, group, one, scratch);
    }
    for group in 0..groups {
        spell(group, scratch, lengths);
    }
    for group in 0..groups {
        lay_out(group, scratch, slots);
    }
    if odd != 0 {
        mend(bits, scratch, slots, lengths);
    }
    odd != 0
}

/// The eight values of a group.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[u64; BLOCK], group: usize) -> __m512i {
    let (groups, _) = values.as_chunks();
    lanes::load(&groups[group])
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(values: &mut [u64; BLOCK], group: usize, vector: __m512i) {
    let (groups, _) = values.as_chunks_mut();
    lanes::store(&mut groups[group], vector);
}

/// The entries of a table of powers.
#[inline]
#[target_feature(enable = "avx512f")]
fn gather(table: &'static [u64], indices: __m512i) -> __m512i {
    // SAFETY: an exponent field of 0..=2047 gives an index of 0..=616 (tested for all of them), the table's entries.
    unsafe { _mm512_i64gather_epi64::<8>(indices, table.as_ptr().cast()) }
}

/// First pass: finds the digits as a number, and the layout. Tells whether any lane needs mending. `one` is 1 in each lane,
/// which the compiler must not know: of a masked addition of 1 it makes two steps, of a masked shift by 1 three.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512ifma,avx512vbmi2")]
fn choose(bits: &[u64; BLOCK], group: usize, one: __m512i, scratch: &mut Scratch) -> u8 {
    let bits = load(bits, group);
    let fraction = _mm512_and_si512(bits, all(MASK_52));
    let raw = _mm512_and_si512(_mm512_srli_epi64::<52>(bits), all(0x7ff));
    let is_power = _mm512_testn_epi64_mask(fraction, fraction);
    let is_zero = _mm512_testn_epi64_mask(_mm512_slli_epi64::<1>(bits), _mm512_slli_epi64::<1>(bits));
    // An exponent of none or of all bits.
    let is_special = _mm512_cmpge_epu64_mask(_mm512_sub_epi64(raw, one), all(0x7fe)) & !is_zero;

    let scaled = _mm512_add_epi64(_mm512_mul_epu32(raw, all(315_653)), all(411_649));
    let scaled = _mm512_mask_sub_epi64(scaled, is_power, scaled, all(131_072));
    let index = _mm512_srli_epi64::<20>(scaled);
    // By how much the power has to be shifted, and 23.
    const SHIFT: i64 = (1075 + 23) * 65_536 + 65_535 - 323 * 217_707;
    let shift = _mm512_add_epi64(_mm512_mul_epu32(index, all(217_707)), all(SHIFT));
    let shift = _mm512_sub_epi64(_mm512_srai_epi64::<16>(shift), raw);
    let (hi, lo) = (gather(&POW10_HI, index), gather(&POW10_LO, index));

    // The power of ten in three limbs of 52 bits. IFMA reads no more than 52 of its factors.
    let half = _mm512_srlv_epi64(hi, _mm512_sub_epi64(shift, all(23)));
    let limb2 = _mm512_srli_epi64::<11>(half);
    let limb1 = _mm512_shrdv_epi64(lo, hi, shift);
    let limb0 = _mm512_sllv_epi64(lo, _mm512_sub_epi64(all(52), shift));
    // 2^52 + fraction times it: the implicit bit is an addition one limb up. The product of the lowest limbs cannot carry.
    let sum1 = _mm512_and_si512(limb0, all(MASK_52));
    let sum1 = _mm512_madd52hi_epu64(sum1, fraction, limb0);
    let sum1 = _mm512_madd52lo_epu64(sum1, fraction, limb1);
    let sum2 = _mm512_add_epi64(_mm512_and_si512(limb1, all(MASK_52)), _mm512_srli_epi64::<52>(sum1));
    let sum2 = _mm512_madd52hi_epu64(sum2, fraction, limb1);
    let sum2 = _mm512_madd52lo_epu64(sum2, fraction, limb2);
    let whole = _mm512_madd52hi_epu64(_mm512_add_epi64(limb2, _mm512_srli_epi64::<52>(sum2)), fraction, limb2);
    let part_low = _mm512_slli_epi64::<12>(sum1);
    let part = _mm512_shldi_epi64::<12>(sum2, part_low);

    let even = _mm512_andnot_si512(bits, all(1));
    let half_up = _mm512_mask_add_epi64(half, !is_power, half, even);
    let is_up = _mm512_cmplt_epu64_mask(_mm512_add_epi64(part, half_up), part);
    let half_down = _mm512_mask_srlv_epi64(half_up, is_power, half_up, one);
    let is_down = _mm512_cmpgt_epu64_mask(half_down, part);
    let digits = _mm512_mask_add_epi64(whole, is_up, whole, one);
    let digits = _mm512_mask_set1_epi64(digits, is_zero, 0);
    let has_last = !(is_up | is_down | is_zero);

    let last = tenth(sum2, _mm512_srli_epi64::<52>(part_low), 6, 1 << 51);
    let last = _mm512_mask_set1_epi64(last, _mm512_cmpeq_epi64_mask(part, all(1 << 62)), 2);
    let last = if is_power == 0 { last } else { last_of_power(part, half, last, is_power) };

    let is_short = _mm512_cmplt_epu64_mask(digits, all(1_000_000_000_000_000));
    let index = _mm512_mask_set1_epi64(index, is_zero, 309);
    let point = _mm512_sub_epi64(index, all(306));
    let point = _mm512_mask_sub_epi64(point, is_short, point, one);
    let kind = _mm512_min_epu64(_mm512_sub_epi64(point, all(LEAST_POINT + 1)), all(SCIENTIFIC as i64));
    let row = _mm512_slli_epi64::<2>(kind);
    let row = _mm512_mask_add_epi64(row, is_short, row, all(2));
    let row = _mm512_add_epi64(row, _mm512_srli_epi64::<63>(bits));
    let is_scientific = _mm512_cmpeq_epi64_mask(kind, all(SCIENTIFIC as i64));

    store(&mut scratch.digits, group, digits);
    let extra = all(i64::from_le_bytes([b'0', b'.', b'0', b'-', 0, 0, 0, 0]));
    store(&mut scratch.extras, group, _mm512_mask_add_epi64(extra, has_last, extra, last));
    store(&mut scratch.rows, group, row);
    let (row_bytes, _) = scratch.row_bytes.as_chunks_mut::<LANES>();
    row_bytes[group] = bytes_of(row);
    store(&mut scratch.points, group, point);
    scratch.has_last[group] = has_last;
    scratch.scientific[group] = is_scientific;
    scratch.special[group] = is_special;
    is_scientific | is_special
}

/// The upper word of 10 * (`upper` * 2^12 + `lower`) + `low` + `high` * 2^12, of whose words the lower 52 bits count.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn tenth(upper: __m512i, lower: __m512i, low: i64, high: i64) -> __m512i {
    let carry = _mm512_srli_epi64::<12>(_mm512_madd52lo_epu64(all(low), lower, all(10)));
    let product = _mm512_madd52lo_epu64(_mm512_add_epi64(carry, all(high)), upper, all(10));
    _mm512_madd52hi_epu64(_mm512_srli_epi64::<52>(product), upper, all(10))
}

/// The last digit where the value is a power of two, whose lower neighbour is nearer.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn last_of_power(part: __m512i, half: __m512i, last: __m512i, is_power: __mmask8) -> __m512i {
    let tenth = |part, high| tenth(_mm512_srli_epi64::<12>(part), _mm512_and_si512(part, all(0xfff)), 0xfff, high);
    let nearest = tenth(part, (1 << 51) - 1);
    let least = tenth(_mm512_sub_epi64(part, _mm512_srli_epi64::<1>(half)), MASK_52);
    _mm512_mask_max_epu64(last, is_power, nearest, least)
}

/// Second pass: the digits as characters, and lengths.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512ifma")]
fn spell(group: usize, scratch: &mut Scratch, lengths: &mut [u8; BLOCK]) {
    let (first, second) = sixteen_digits(load(&scratch.digits, group));
    // The last digit is in the highest byte.
    let zeros = |word| _mm512_srli_epi64::<3>(_mm512_lzcnt_epi64(word));
    let none = _mm512_testn_epi64_mask(second, second);
    let trailing = zeros(second);
    let trailing = _mm512_mask_add_epi64(trailing, none, trailing, zeros(first));
    let count = _mm512_sub_epi64(all(16), trailing);
    let count = _mm512_mask_set1_epi64(count, scratch.has_last[group], 17);
    let row = load(&scratch.rows, group);
    let skipped = _mm512_and_si512(_mm512_srli_epi64::<1>(row), all(1));
    let count = _mm512_sub_epi64(count, skipped);
    let point = load(&scratch.points, group);
    let whole = _mm512_max_epi64(count, point);
    let rest = _mm512_max_epi64(all(1), _mm512_sub_epi64(all(3), point));
    let sign = _mm512_and_si512(row, all(1));
    let length = _mm512_add_epi64(_mm512_add_epi64(whole, rest), sign);

    store(&mut scratch.firsts, group, _mm512_or_si512(first, all(ZEROS)));
    store(&mut scratch.seconds, group, _mm512_or_si512(second, all(ZEROS)));
    store(&mut scratch.digits, group, count);
    let (lengths, _) = lengths.as_chunks_mut::<LANES>();
    lengths[group] = bytes_of(length);
}

/// Third pass: every character to its place, two values a register.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn lay_out(group: usize, scratch: &Scratch, slots: &mut [[u8; TEXT]; BLOCK]) {
    let (firsts, seconds) = (load(&scratch.firsts, group), load(&scratch.seconds, group));
    let extras = load(&scratch.extras, group);
    let even = _mm512_unpacklo_epi64(firsts, seconds);
    let odd = _mm512_unpackhi_epi64(firsts, seconds);
    // Lanes of two values apart by two: digits, digits, extra, anything.
    let lower = _mm512_set_epi64(10, 10, 3, 2, 8, 8, 1, 0);
    let upper = _mm512_set_epi64(14, 14, 7, 6, 12, 12, 5, 4);
    let odd_lower = _mm512_set_epi64(11, 11, 3, 2, 9, 9, 1, 0);
    let odd_upper = _mm512_set_epi64(15, 15, 7, 6, 13, 13, 5, 4);
    let first = group * LANES;
    pair(first, 0, _mm512_permutex2var_epi64(even, lower, extras), scratch, slots);
    pair(first, 1, _mm512_permutex2var_epi64(odd, odd_lower, extras), scratch, slots);
    pair(first, 4, _mm512_permutex2var_epi64(even, upper, extras), scratch, slots);
    pair(first, 5, _mm512_permutex2var_epi64(odd, odd_upper, extras), scratch, slots);
}

/// Writes the texts of the values `at` and `at + 2` of a group.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn pair(first: usize, at: usize, source: __m512i, scratch: &Scratch, slots: &mut [[u8; TEXT]; BLOCK]) {
    let (one, two) = (first + at, first + at + 2);
    let (first, second) = (row(&ROWS, scratch.row_bytes[one]), row(&UPPER_ROWS, scratch.row_bytes[two]));
    let rows = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second);
    let text = _mm512_permutexvar_epi8(rows, source);
    put(&mut slots[one], _mm512_castsi512_si256(text));
    put(&mut slots[two], _mm512_extracti64x4_epi64::<1>(text));
}

#[inline]
#[target_feature(enable = "avx512f")]
fn row(rows: &'static Aligned<[[u8; TEXT]; ROW_COUNT]>, number: u8) -> __m256i {
    let row = &rows.0[usize::from(number)];
    // SAFETY: a row has 32 bytes.
    unsafe { _mm256_loadu_si256(row.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn put(slot: &mut [u8; TEXT], text: __m256i) {
    // SAFETY: a slot has 32 bytes.
    unsafe { _mm256_storeu_si256(slot.as_mut_ptr().cast(), text) }
}

/// Ends texts in scientific notation with their exponents, and writes what is not finite or subnormal.
#[cold]
#[inline(never)]
fn mend(bits: &[u64; BLOCK], scratch: &Scratch, slots: &mut [[u8; TEXT]; BLOCK], lengths: &mut [u8; BLOCK]) {
    let special = u64::from_le_bytes(scratch.special);
    for i in set_bits(special) {
        lengths[i] = scalar::write(f64::from_bits(bits[i]), &mut slots[i]) as u8;
    }
    for i in set_bits(u64::from_le_bytes(scratch.scientific) & !special) {
        let slot = &mut slots[i];
        let sign = usize::from(scratch.rows[i] & 1 == 1);
        let count = scratch.digits[i] as usize;
        // The point and what follows it only if something does.
        let end = sign + if count == 1 { 1 } else { count + 1 };
        let exponent = scratch.points[i] as i64 - 2;
        let text = EXPONENT_TEXTS[(exponent - LEAST_EXPONENT) as usize].to_le_bytes();
        slot[end..end + 8].copy_from_slice(&text);
        lengths[i] = end as u8 + text[7];
    }
}

const _: () = assert!(LAST == 16, "the bytes of an extra");
