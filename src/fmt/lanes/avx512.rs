//! Eight lanes with AVX-512.

use std::arch::x86_64::*;

pub(in crate::fmt) const LANES: usize = 8;

/// The digit 0 in every byte, to make characters of digits.
pub(in crate::fmt) const ZEROS: i64 = 0x3030_3030_3030_3030;

#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::fmt) fn all(value: i64) -> __m512i {
    _mm512_set1_epi64(value)
}

/// Values of 64 bits.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::fmt) fn load<T: Copy>(values: &[T; LANES]) -> __m512i {
    const { assert!(size_of::<T>() == 8) };
    // SAFETY: eight values of 64 bits are 64 bytes.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::fmt) fn store(words: &mut [u64; LANES], vector: __m512i) {
    // SAFETY: eight words of 64 bits are 64 bytes.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
}

/// The lowest byte of each lane.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in crate::fmt) fn bytes_of(lanes: __m512i) -> [u8; LANES] {
    _mm_cvtsi128_si64(_mm512_cvtepi64_epi8(lanes)).to_le_bytes()
}

/// `number` + `factor` * 2^52 - `factor` * `by`, of which only the lower 52 bits are what is meant: what is left of a
/// number of which `factor` is the quotient by `by`. IFMA multiplies in one step, where a product of 64 bits takes three.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma")]
fn rest(number: __m512i, factor: __m512i, by: i64) -> __m512i {
    _mm512_madd52lo_epu64(number, factor, all((1 << 52) - by))
}

/// The sixteen digits of numbers below 2^54, whose quotient by 10^8 is below 10^8.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
pub(in crate::fmt) fn sixteen_digits(number: __m512i) -> (__m512i, __m512i) {
    /// 2^70 / 390625, rounded up: exact for numbers below 2^46.
    const BY_390625: i64 = 3_022_314_549_036_573;
    // By 10^8 = 2^8 * 390625.
    let upper = _mm512_madd52hi_epu64(all(0), _mm512_srli_epi64::<8>(number), all(BY_390625));
    let upper = _mm512_srli_epi64::<18>(upper);
    (eight_digits(upper), eight_digits(rest(number, upper, 100_000_000)))
}

/// The eight digits of numbers below 10^8, which the lower 52 bits of the lanes are; what is above them counts for nothing.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
pub(in crate::fmt) fn eight_digits(number: __m512i) -> __m512i {
    /// 2^52 / 10^4, rounded up: exact for numbers below 2^38.
    const BY_10000: i64 = 450_359_962_738;
    // Each step splits every lane in two of half the width: quotient down, rest up.
    let quotient = _mm512_madd52hi_epu64(all(0), number, all(BY_10000));
    let fours = _mm512_or_si512(quotient, _mm512_slli_epi64::<32>(rest(number, quotient, 10_000)));
    let quotient = _mm512_srli_epi32::<3>(_mm512_mulhi_epu16(fours, _mm512_set1_epi32(5_243)));
    let rest = _mm512_sub_epi32(fours, _mm512_mullo_epi16(quotient, _mm512_set1_epi32(100)));
    let twos = _mm512_or_si512(quotient, _mm512_slli_epi32::<16>(rest));
    let quotient = _mm512_srli_epi16::<10>(_mm512_mullo_epi16(twos, _mm512_set1_epi16(103)));
    let rest = _mm512_sub_epi16(twos, _mm512_mullo_epi16(quotient, _mm512_set1_epi16(10)));
    _mm512_or_si512(quotient, _mm512_slli_epi16::<8>(rest))
}
