//! Eight integers with AVX2, four at a time.

use std::arch::x86_64::*;

use super::LANES;

const HALF: usize = LANES / 2;

#[inline]
#[target_feature(enable = "avx2")]
fn all(value: i64) -> __m256i {
    _mm256_set1_epi64x(value)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(values: &[i64; HALF]) -> __m256i {
    // SAFETY: four values of 64 bits are 32 bytes.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(words: &mut [u64; HALF], vector: __m256i) {
    // SAFETY: four words of 64 bits are 32 bytes.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
}

/// The eight digits of numbers below 10^8, a byte each, the first one in the lowest byte.
#[inline]
#[target_feature(enable = "avx2")]
fn eight_digits(number: __m256i) -> __m256i {
    // Each step splits every lane in two of half the width: quotient down, rest up.
    let quotient = _mm256_srli_epi64::<45>(_mm256_mul_epu32(number, all(3_518_437_209)));
    let rest = _mm256_sub_epi64(number, _mm256_mul_epu32(quotient, all(10_000)));
    let fours = _mm256_or_si256(quotient, _mm256_slli_epi64::<32>(rest));
    let quotient = _mm256_srli_epi32::<3>(_mm256_mulhi_epu16(fours, _mm256_set1_epi32(5_243)));
    let rest = _mm256_sub_epi32(fours, _mm256_mullo_epi16(quotient, _mm256_set1_epi32(100)));
    let twos = _mm256_or_si256(quotient, _mm256_slli_epi32::<16>(rest));
    let quotient = _mm256_srli_epi16::<10>(_mm256_mullo_epi16(twos, _mm256_set1_epi16(103)));
    let rest = _mm256_sub_epi16(twos, _mm256_mullo_epi16(quotient, _mm256_set1_epi16(10)));
    _mm256_or_si256(quotient, _mm256_slli_epi16::<8>(rest))
}

/// As [`super::sixteen_digits`], of eight values.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn sixteen(values: &[i64; LANES], base: u64, digits: &mut [[u64; 2]; LANES]) {
    let (values, _) = values.as_chunks::<HALF>();
    let (words, _) = digits.as_flattened_mut().as_chunks_mut::<HALF>();
    // 2^52 and 1.5 * 2^52: the integer is in the lower bits of the sum.
    let (magic, middle) = (all(0x4330_0000_0000_0000), all(0x4338_0000_0000_0000));
    for (values, words) in values.iter().zip(words.as_chunks_mut::<2>().0) {
        let rest = _mm256_sub_epi64(load(values), all(base as i64));
        // By 10^8 = 2^8 * 390625. What is below 2^46 is exact in a float, and quotients lie apart by more than the error.
        let number = _mm256_castsi256_pd(_mm256_or_si256(_mm256_srli_epi64::<8>(rest), magic));
        let number = _mm256_sub_pd(number, _mm256_castsi256_pd(magic));
        let upper = _mm256_fmadd_pd(number, _mm256_set1_pd(1.0 / 390_625.0), _mm256_set1_pd(-0.499_999));
        let upper = _mm256_castpd_si256(_mm256_add_pd(upper, _mm256_castsi256_pd(middle)));
        let upper = _mm256_sub_epi64(upper, middle);
        let lower = _mm256_sub_epi64(rest, _mm256_mul_epu32(upper, all(100_000_000)));
        let zero_digits = all(0x3030_3030_3030_3030);
        let first = _mm256_or_si256(eight_digits(upper), zero_digits);
        let second = _mm256_or_si256(eight_digits(lower), zero_digits);
        let (even, odd) = (_mm256_unpacklo_epi64(first, second), _mm256_unpackhi_epi64(first, second));
        store(&mut words[0], _mm256_permute2x128_si256::<0x20>(even, odd));
        store(&mut words[1], _mm256_permute2x128_si256::<0x31>(even, odd));
    }
}

/// As [`super::short`], of eight values.
#[inline]
#[target_feature(enable = "avx2,bmi1")]
pub(super) fn short(values: &[i64; LANES], words: &mut [u64; LANES], lengths: &mut [u8; LANES]) {
    let (values, _) = values.as_chunks::<HALF>();
    for (values, words) in values.iter().zip(words.as_chunks_mut::<HALF>().0) {
        store(words, eight_digits(load(values)));
    }
    for (word, length) in words.iter_mut().zip(lengths) {
        // The last digit is there always.
        let zeros = (*word | 1 << 56).trailing_zeros() / 8;
        *word = (*word | 0x3030_3030_3030_3030) >> (zeros * 8);
        *length = 8 - zeros as u8;
    }
}
