//! Backslash escapes of ILP (`spec/ilp-wire.md` section 3): which bytes need one, and how to find them fast.
//!
//! Escaping works on bytes: every special byte is ASCII and so never part of a longer UTF-8 sequence.

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
