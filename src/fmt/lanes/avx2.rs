//! Four lanes with AVX2.

use std::arch::x86_64::*;

pub(in crate::fmt) const LANES: usize = 4;

/// The digit 0 in every byte, to make characters of digits.
pub(in crate::fmt) const ZEROS: i64 = 0x3030_3030_3030_3030;

#[inline]
#[target_feature(enable = "avx2")]
pub(in crate::fmt) fn all(value: i64) -> __m256i {
    _mm256_set1_epi64x(value)
}

/// Values of 64 bits.
#[inline]
#[target_feature(enable = "avx2")]
pub(in crate::fmt) fn load<T: Copy>(values: &[T; LANES]) -> __m256i {
    const { assert!(size_of::<T>() == 8) };
    // SAFETY: four values of 64 bits are 32 bytes.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(in crate::fmt) fn store(words: &mut [u64; LANES], vector: __m256i) {
    // SAFETY: four words of 64 bits are 32 bytes.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
}

/// `number` + `factor` * (2^32 - `by`), of which only the lower 32 bits are what is meant: what is left of a number of
/// which `factor` is the quotient by `by`. Subtracted, the product would be taken for one of 64 bits, which takes five steps.
#[inline]
#[target_feature(enable = "avx2")]
fn rest(number: __m256i, factor: __m256i, by: i64) -> __m256i {
    _mm256_add_epi64(number, _mm256_mul_epu32(factor, all((1 << 32) - by)))
}

/// The sixteen digits of numbers below 2^54, whose quotient by 10^8 is below 10^8: each number's two words side by side.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(in crate::fmt) fn sixteen_digits(number: __m256i) -> (__m256i, __m256i) {
    // 2^52 and 1.5 * 2^52: an integer is in the lower bits of its sum with one of them.
    let (magic, middle) = (all(0x4330_0000_0000_0000), all(0x4338_0000_0000_0000));
    // By 10^8 = 2^8 * 390625. What is below 2^46 is exact in a float, and quotients lie apart by more than the error.
    let float = _mm256_castsi256_pd(_mm256_or_si256(_mm256_srli_epi64::<8>(number), magic));
    let float = _mm256_sub_pd(float, _mm256_castsi256_pd(magic));
    // To the nearest integer by an addition; beyond 1.5 * 2^52 also what rounds to zero from below.
    let upper = _mm256_fmadd_pd(float, _mm256_set1_pd(1.0 / 390_625.0), _mm256_set1_pd(-0.499_999));
    let upper = _mm256_castpd_si256(_mm256_add_pd(upper, _mm256_castsi256_pd(middle)));
    let upper = _mm256_sub_epi64(upper, middle);
    let lower = rest(number, upper, 100_000_000);
    let (first, second) = (eight_digits(upper), eight_digits(lower));
    let (even, odd) = (_mm256_unpacklo_epi64(first, second), _mm256_unpackhi_epi64(first, second));
    (_mm256_permute2x128_si256::<0x20>(even, odd), _mm256_permute2x128_si256::<0x31>(even, odd))
}

/// The eight digits of numbers below 10^8, which the lower halves of the lanes are; the upper ones count for nothing.
#[inline]
#[target_feature(enable = "avx2")]
pub(in crate::fmt) fn eight_digits(number: __m256i) -> __m256i {
    // Each step splits every lane in two of half the width: quotient down, rest up.
    let quotient = _mm256_srli_epi64::<45>(_mm256_mul_epu32(number, all(3_518_437_209)));
    let fours = _mm256_or_si256(quotient, _mm256_slli_epi64::<32>(rest(number, quotient, 10_000)));
    let quotient = _mm256_srli_epi32::<3>(_mm256_mulhi_epu16(fours, _mm256_set1_epi32(5_243)));
    let rest = _mm256_sub_epi32(fours, _mm256_mullo_epi16(quotient, _mm256_set1_epi32(100)));
    let twos = _mm256_or_si256(quotient, _mm256_slli_epi32::<16>(rest));
    let quotient = _mm256_srli_epi16::<10>(_mm256_mullo_epi16(twos, _mm256_set1_epi16(103)));
    let rest = _mm256_sub_epi16(twos, _mm256_mullo_epi16(quotient, _mm256_set1_epi16(10)));
    _mm256_or_si256(quotient, _mm256_slli_epi16::<8>(rest))
}
