//! Escapes with AVX-512, without a branch: which values have one is not to be foreseen.

use std::arch::x86_64::*;

use super::{Escape, PIECE};

/// No byte, with its low four bits, of those that are not special.
const NONE: i8 = -1;

/// As [`super::Escaper::write`].
///
/// Each byte gets a backslash before it, and those backslashes that are not needed are dropped.
#[inline]
#[target_feature(enable = "bmi2,popcnt,avx512f,avx512bw,avx512vl,avx512vbmi2")]
pub(super) fn write(escape: Escape, piece: &[u8; PIECE], length: usize, out: &mut [u8; 2 * PIECE]) -> usize {
    // SAFETY: the load is of as many bytes as there are.
    let bytes = unsafe { _mm256_loadu_si256(piece.as_ptr().cast()) };
    let places = _bzhi_u32(places(escape, bytes), length as u32);
    let escaped = _mm512_slli_epi16::<8>(_mm512_cvtepu8_epi16(bytes));
    let escaped = _mm512_or_si512(escaped, _mm512_set1_epi16(i16::from(b'\\')));
    let kept = _pdep_u64(u64::from(places), 0x5555_5555_5555_5555) | 0xaaaa_aaaa_aaaa_aaaa;
    let text = _mm512_maskz_compress_epi8(kept, escaped);
    // SAFETY: the store is of as many bytes as there are.
    unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), text) };
    length + places.count_ones() as usize
}

/// Which bytes need an escape, the first one in the lowest bit: those that are what a table has for their low four bits.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn places(escape: Escape, bytes: __m256i) -> u32 {
    let are_in = |table: [i8; 16]| {
        // SAFETY: the load is of as many bytes as there are.
        let table = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) });
        // Of bytes above ASCII, whose highest bit is set, this makes zero, which none of them is.
        _mm256_cmpeq_epi8_mask(_mm256_shuffle_epi8(table, bytes), bytes)
    };
    match escape {
        Escape::Quoted => are_in(const { table(b"\"\\\n\r") }),
        // Two bytes each end in the same four bits.
        Escape::Unquoted => are_in(const { table(b" ,=\n") }) | are_in(const { table(b"\\\r") }),
    }
}

/// Special bytes by their low four bits, which differ.
const fn table(special: &[u8]) -> [i8; 16] {
    let mut table = [NONE; 16];
    let mut i = 0;
    while i < special.len() {
        let low = (special[i] & 0xf) as usize;
        assert!(table[low] == NONE, "two bytes with the same low bits");
        table[low] = special[i] as i8;
        i += 1;
    }
    table
}
