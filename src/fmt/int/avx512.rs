//! Eight integers at once with AVX-512.

use std::arch::x86_64::*;

use crate::simd::prefetch_ahead;

use super::super::lanes::avx512::{LANES, ZEROS, all, bytes_of, eight_digits, load, sixteen_digits, store};

/// As [`super::sixteen_digits`], of eight values.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
pub(super) fn sixteen(values: &[i64; LANES], base: u64, digits: &mut [[u64; 2]; LANES]) {
    let (first, second) = sixteen_digits(_mm512_sub_epi64(load(values), all(base as i64)));
    let (first, second) = (_mm512_or_si512(first, all(ZEROS)), _mm512_or_si512(second, all(ZEROS)));
    let (words, _) = digits.as_flattened_mut().as_chunks_mut::<LANES>();
    let low_half = _mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0);
    let high_half = _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4);
    store(&mut words[0], _mm512_permutex2var_epi64(first, low_half, second));
    store(&mut words[1], _mm512_permutex2var_epi64(first, high_half, second));
}

/// As [`super::short`], of eight values.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512ifma,avx512vpopcntdq")]
pub(super) fn short(values: &[i64; LANES], words: &mut [u64; LANES], lengths: &mut [u8; LANES]) {
    let digits = eight_digits(load(values));
    // The last digit is there always.
    let marked = _mm512_or_si512(digits, all(1 << 56));
    let below = _mm512_andnot_si512(marked, _mm512_sub_epi64(marked, all(1)));
    // Whole bytes of zeros; what is below the first digit's own lowest bit counts for nothing.
    let zeros = _mm512_srli_epi64::<3>(_mm512_popcnt_epi64(below));
    let text = _mm512_or_si512(digits, all(ZEROS));
    store(words, _mm512_srlv_epi64(text, _mm512_slli_epi64::<3>(zeros)));
    *lengths = bytes_of(_mm512_sub_epi64(all(8), zeros));
}

/// The least and the greatest of the values of these groups.
#[target_feature(enable = "avx512f")]
pub(super) fn range(groups: &[[i64; LANES]], last: &[i64; LANES]) -> (i64, i64) {
    let (mut least, mut most) = (load(last), load(last));
    for (i, group) in groups.iter().enumerate() {
        prefetch_ahead(groups, i);
        (least, most) = (_mm512_min_epi64(least, load(group)), _mm512_max_epi64(most, load(group)));
    }
    (_mm512_reduce_min_epi64(least), _mm512_reduce_max_epi64(most))
}
