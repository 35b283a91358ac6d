//! Eight integers with AVX2, four at a time.

use std::arch::x86_64::*;

use crate::simd::prefetch_ahead;

use super::super::lanes::avx2::{LANES as HALF, ZEROS, all, eight_digits, load, sixteen_digits, store};
use super::LANES;

/// As [`super::sixteen_digits`], of eight values.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn sixteen(values: &[i64; LANES], base: u64, digits: &mut [[u64; 2]; LANES]) {
    let (values, _) = values.as_chunks::<HALF>();
    let (words, _) = digits.as_flattened_mut().as_chunks_mut::<HALF>();
    for (values, words) in values.iter().zip(words.as_chunks_mut::<2>().0) {
        let (low, high) = sixteen_digits(_mm256_sub_epi64(load(values), all(base as i64)));
        store(&mut words[0], _mm256_or_si256(low, all(ZEROS)));
        store(&mut words[1], _mm256_or_si256(high, all(ZEROS)));
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
        *word = (*word | ZEROS as u64) >> (zeros * 8);
        *length = 8 - zeros as u8;
    }
}

/// The least and the greatest of the values of these groups.
#[target_feature(enable = "avx2")]
pub(super) fn range(groups: &[[i64; LANES]], last: &[i64; LANES]) -> (i64, i64) {
    let halves = |group: &[i64; LANES]| {
        let (halves, _) = group.as_chunks::<HALF>();
        [load(&halves[0]), load(&halves[1])]
    };
    let (mut least, mut most) = (halves(last), halves(last));
    for (i, group) in groups.iter().enumerate() {
        prefetch_ahead(groups, i);
        for (half, values) in halves(group).into_iter().enumerate() {
            least[half] = _mm256_blendv_epi8(least[half], values, _mm256_cmpgt_epi64(least[half], values));
            most[half] = _mm256_blendv_epi8(most[half], values, _mm256_cmpgt_epi64(values, most[half]));
        }
    }
    let mut lanes = [[0; LANES]; 2];
    for (lanes, halves) in lanes.iter_mut().zip([least, most]) {
        for (lanes, half) in lanes.as_chunks_mut::<HALF>().0.iter_mut().zip(halves) {
            store(lanes, half);
        }
    }
    let [least, most] = lanes.map(|lanes| lanes.map(|lane| lane as i64));
    super::ends(least, most)
}
