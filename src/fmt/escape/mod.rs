//! Backslash escapes of ILP (`spec/ilp-wire.md` section 3): which bytes need one, and how to find them fast.
//!
//! Escaping works on bytes: every special byte is ASCII and so never part of a longer UTF-8 sequence.

#[cfg(target_arch = "x86_64")]
mod avx512;

use crate::simd::{Level, level};

/// The bytes looked at together.
pub(crate) const PIECE: usize = 32;

/// Which set of bytes is special.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Table names, column names and symbol values: space `,` `=` LF CR `\`.
    Unquoted,
    /// Between the quotes of a string field: `"` `\` LF CR.
    Quoted,
}

const UNQUOTED: [bool; 256] = table(b" ,=\n\r\\");
const QUOTED: [bool; 256] = table(b"\"\\\n\r");

const fn table(special: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut i = 0;
    while i < special.len() {
        table[special[i] as usize] = true;
        i += 1;
    }
    table
}

impl Escape {
    fn is_special(self, byte: u8) -> bool {
        match self {
            Self::Unquoted => UNQUOTED[byte as usize],
            Self::Quoted => QUOTED[byte as usize],
        }
    }

    /// Whether any byte of `text` needs an escape. Written so that the compiler turns it into vector compares:
    /// at memory speed for long text.
    pub(crate) fn is_needed(self, text: &[u8]) -> bool {
        match self {
            Self::Unquoted => {
                any(text, |b| (b == b' ') | (b == b',') | (b == b'=') | (b == b'\n') | (b == b'\r') | (b == b'\\'))
            }
            Self::Quoted => any(text, |b| (b == b'"') | (b == b'\\') | (b == b'\n') | (b == b'\r')),
        }
    }

    /// Which bytes of a piece need an escape, the first one in the lowest bit.
    #[inline(always)]
    pub(crate) fn places(self, piece: &[u8; PIECE]) -> u32 {
        match self {
            Self::Unquoted => places(piece, b" ,=\n\r\\"),
            Self::Quoted => places(piece, b"\"\\\n\r"),
        }
    }

    /// Appends `text` to `out` with a backslash before every special byte: at most twice its length.
    pub(crate) fn append(self, text: &[u8], out: &mut Vec<u8>) {
        for &byte in text {
            if self.is_special(byte) {
                out.push(b'\\');
            }
            out.push(byte);
        }
    }

    /// Writes `text` escaped to the start of `out` and returns the bytes written, at most twice its length.
    ///
    /// # Panics
    /// If `out` is shorter than that: the caller's arithmetic is wrong, never the user's data.
    pub(crate) fn write(self, text: &[u8], out: &mut [u8]) -> usize {
        let mut written = 0;
        for &byte in text {
            if self.is_special(byte) {
                out[written] = b'\\';
                written += 1;
            }
            out[written] = byte;
            written += 1;
        }
        written
    }
}

/// A way to write short texts escaped. It is chosen once for many, so that it becomes a part of the loop over them.
pub(crate) trait Escaper: Copy {
    /// Writes the first `length` bytes of a piece, escaped, to the start of `out` and returns the bytes written.
    fn write(self, escape: Escape, piece: &[u8; PIECE], length: usize, out: &mut [u8; 2 * PIECE]) -> usize;
}

/// Takes the place of an escape only where one is needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Escaper for Portable {
    #[inline(always)]
    fn write(self, escape: Escape, piece: &[u8; PIECE], length: usize, out: &mut [u8; 2 * PIECE]) -> usize {
        // One copy of fixed size beats a call of memcpy; what it copies too much, the next value overwrites.
        out[..PIECE].copy_from_slice(piece);
        let places = escape.places(piece) & (((1_u64 << length) - 1) as u32);
        if places == 0 { length } else { write_escaped(piece, length, places, out) }
    }
}

/// Writes a piece with a backslash before each of these places, of which there is at least one.
#[inline(never)]
fn write_escaped(piece: &[u8; PIECE], length: usize, mut places: u32, out: &mut [u8; 2 * PIECE]) -> usize {
    let (mut from, mut written) = (0, 0);
    while places != 0 {
        let place = places.trailing_zeros() as usize;
        // What is behind the last place, and the backslash.
        out[written..written + place - from].copy_from_slice(&piece[from..place]);
        written += place - from;
        out[written] = b'\\';
        written += 1;
        from = place;
        places &= places - 1;
    }
    out[written..written + length - from].copy_from_slice(&piece[from..length]);
    written + length - from
}

/// AVX-512. There is one only where the processor has it.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512(());

#[cfg(target_arch = "x86_64")]
impl Avx512 {
    /// `None` if the processor lacks it or is not to use it.
    pub(crate) fn new() -> Option<Self> {
        (level() >= Level::Avx512).then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Escaper for Avx512 {
    #[inline(always)]
    fn write(self, escape: Escape, piece: &[u8; PIECE], length: usize, out: &mut [u8; 2 * PIECE]) -> usize {
        // SAFETY: there is no value of this type where the level is not available.
        unsafe { avx512::write(escape, piece, length, out) }
    }
}

/// Which bytes of a piece are among these.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn places<const N: usize>(piece: &[u8; PIECE], special: &[u8; N]) -> u32 {
    let (halves, _) = piece.as_chunks::<16>();
    // SAFETY: every x86-64 processor has SSE2.
    let half = |bytes: &[u8; 16]| unsafe { places_in_half(bytes, special) };
    half(&halves[0]) | half(&halves[1]) << 16
}

/// With SSE2: where a block may use AVX2, the compiler makes its forms of the same.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn places_in_half<const N: usize>(bytes: &[u8; 16], special: &[u8; N]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8, _mm_setzero_si128,
    };
    // SAFETY: the load is of as many bytes as there are.
    let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let found = special.iter().fold(_mm_setzero_si128(), |found, byte| {
        _mm_or_si128(found, _mm_cmpeq_epi8(bytes, _mm_set1_epi8(*byte as i8)))
    });
    _mm_movemask_epi8(found) as u32
}

#[cfg(not(target_arch = "x86_64"))]
fn places<const N: usize>(piece: &[u8; PIECE], special: &[u8; N]) -> u32 {
    piece.iter().rev().fold(0, |places, byte| places << 1 | u32::from(special.contains(byte)))
}

/// `is` on every byte, without leaving early inside a chunk: branch-free chunks are what vectorises.
fn any(text: &[u8], is: impl Fn(u8) -> bool + Copy) -> bool {
    let mut chunks = text.chunks_exact(32);
    for chunk in chunks.by_ref() {
        if chunk.iter().fold(false, |found, &b| found | is(b)) {
            return true;
        }
    }
    chunks.remainder().iter().fold(false, |found, &b| found | is(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_agrees_with_the_specification() {
        for byte in 0..=255u8 {
            let unquoted = [b' ', b',', b'=', b'\n', b'\r', b'\\'].contains(&byte);
            let quoted = [b'"', b'\\', b'\n', b'\r'].contains(&byte);
            assert_eq!(Escape::Unquoted.is_needed(&[byte]), unquoted, "{byte}");
            assert_eq!(Escape::Quoted.is_needed(&[byte]), quoted, "{byte}");
            for place in 0..PIECE {
                let mut piece = [b'a'; PIECE];
                piece[place] = byte;
                assert_eq!(Escape::Unquoted.places(&piece), u32::from(unquoted) << place);
                assert_eq!(Escape::Quoted.places(&piece), u32::from(quoted) << place);
            }
            for length in [1, 31, 32, 33, 70] {
                let mut text = vec![b'a'; length];
                text[length - 1] = byte;
                assert_eq!(Escape::Unquoted.is_needed(&text), unquoted, "{byte} at {length}");
            }
        }
    }

    #[test]
    fn pieces_are_escaped_in_every_variant() {
        let mut dice = 1_u64;
        let mut next = move || {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) as u8
        };
        for _ in 0..2_000 {
            // A quarter are special in one way or the other, some are above ASCII, and one in 16 is zero.
            let piece: [u8; PIECE] = std::array::from_fn(|_| match next() % 16 {
                0..4 => b" ,=\n\r\\\"'"[usize::from(next() % 8)],
                4 => 0,
                _ => next(),
            });
            for (escape, length) in
                [Escape::Quoted, Escape::Unquoted].into_iter().flat_map(|escape| [0, 1, 31, 32].map(|l| (escape, l)))
            {
                let mut expected = Vec::new();
                escape.append(&piece[..length], &mut expected);
                let mut out = [0; 2 * PIECE];
                let written = Portable.write(escape, &piece, length, &mut out);
                assert_eq!(&out[..written], expected);
                #[cfg(target_arch = "x86_64")]
                if let Some(avx512) = Avx512::new() {
                    let mut out = [0; 2 * PIECE];
                    let written = avx512.write(escape, &piece, length, &mut out);
                    assert_eq!(&out[..written], expected);
                }
            }
        }
    }

    #[test]
    fn both_writers_agree_with_the_examples_of_the_official_client() {
        let mut out = Vec::new();
        Escape::Unquoted.append(b"x y,z=w\\\"\n\r \xc3\xa9", &mut out);
        assert_eq!(out, b"x\\ y\\,z\\=w\\\\\"\\\n\\\r\\ \xc3\xa9");
        let text = b"h\"e\\l\nlo ,=";
        let mut out = [0; 22];
        let written = Escape::Quoted.write(text, &mut out);
        assert_eq!(&out[..written], b"h\\\"e\\\\l\\\nlo ,=");
    }
}
