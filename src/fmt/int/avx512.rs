//! Eight integers at once with AVX-512.

use std::arch::x86_64::*;

use super::LANES;

#[inline]
#[target_feature(enable = "avx512f")]
fn all(value: i64) -> __m512i {
    _mm512_set1_epi64(value)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[i64; LANES]) -> __m512i {
    // SAFETY: eight values of 64 bits are 64 bytes.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(words: &mut [u64; LANES], vector: __m512i) {
    // SAFETY: eight words of 64 bits are 64 bytes.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
}

/// The eight digits of numbers below 10^8, a byte each, the first one in the lowest byte.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn eight_digits(number: __m512i) -> __m512i {
    // Each step splits every lane in two of half the width: quotient down, rest up.
    let quotient = _mm512_srli_epi64::<45>(_mm512_mul_epu32(number, all(3_518_437_209)));
    let rest = _mm512_sub_epi64(number, _mm512_mul_epu32(quotient, all(10_000)));
    let fours = _mm512_or_si512(quotient, _mm512_slli_epi64::<32>(rest));
    let quotient = _mm512_srli_epi32::<3>(_mm512_mulhi_epu16(fours, _mm512_set1_epi32(5_243)));
    let rest = _mm512_sub_epi32(fours, _mm512_mullo_epi16(quotient, _mm512_set1_epi32(100)));
    let twos = _mm512_or_si512(quotient, _mm512_slli_epi32::<16>(rest));
    let quotient = _mm512_srli_epi16::<10>(_mm512_mullo_epi16(twos, _mm512_set1_epi16(103)));
    let rest = _mm512_sub_epi16(twos, _mm512_mullo_epi16(quotient, _mm512_set1_epi16(10)));
    _mm512_or_si512(quotient, _mm512_slli_epi16::<8>(rest))
}

/// As [`super::sixteen_digits`], of eight values.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
pub(super) fn sixteen(values: &[i64; LANES], base: u64, digits: &mut [[u64; 2]; LANES]) {
    /// 2^70 / 390625, rounded up: exact for numbers below 2^46.
    const BY_390625: i64 = 3_022_314_549_036_573;
    let rest = _mm512_sub_epi64(load(values), all(base as i64));
    // By 10^8 = 2^8 * 390625.
    let upper = _mm512_madd52hi_epu64(all(0), _mm512_srli_epi64::<8>(rest), all(BY_390625));
    let upper = _mm512_srli_epi64::<18>(upper);
    let lower = _mm512_sub_epi64(rest, _mm512_mul_epu32(upper, all(100_000_000)));
    let zero_digits = all(0x3030_3030_3030_3030);
    let first = _mm512_or_si512(eight_digits(upper), zero_digits);
    let second = _mm512_or_si512(eight_digits(lower), zero_digits);
    let (words, _) = digits.as_flattened_mut().as_chunks_mut::<LANES>();
    let low_half = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
    let high_half = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
    store(&mut words[0], _mm512_permutex2var_epi64(first, low_half, second));
    store(&mut words[1], _mm512_permutex2var_epi64(first, high_half, second));
}

/// As [`super::short`], of eight values.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq")]
pub(super) fn short(values: &[i64; LANES], words: &mut [u64; LANES], lengths: &mut [u8; LANES]) {
    let digits = eight_digits(load(values));
    // The last digit is there always.
    let marked = _mm512_or_si512(digits, all(1 << 56));
    let below = _mm512_andnot_si512(marked, _mm512_sub_epi64(marked, all(1)));
    // Whole bytes of zeros; what is below the first digit's own lowest bit counts for nothing.
    let zeros = _mm512_srli_epi64::<3>(_mm512_popcnt_epi64(below));
    let text = _mm512_or_si512(digits, all(0x3030_3030_3030_3030));
    store(words, _mm512_srlv_epi64(text, _mm512_slli_epi64::<3>(zeros)));
    let length = _mm512_cvtepi64_epi8(_mm512_sub_epi64(all(8), zeros));
    *lengths = _mm_cvtsi128_si64(length).to_le_bytes();
}
