//! Tables of the batch kernels: powers of ten, where each character of a text comes from, and exponents.
//!
//! All are computed by the compiler. A [`row`](ROWS) is the layout of one kind of text, for the `vpermb` of AVX-512 as it
//! stands and split in two for the `vpshufb` of AVX2.

/// Decimal exponents of [`POW10_HI`]: entry `i` is 10^(323 - i).
pub(super) const POWERS: usize = 617;
/// Filled up, so that an index needs no check.
pub(super) const POWERS_ROOM: usize = 1024;

/// The upper and the lower half of the first 128 bits of powers of ten, rounded down. The highest bit is always set.
pub(super) static POW10_HI: [u64; POWERS_ROOM] = halves().0;
pub(super) static POW10_LO: [u64; POWERS_ROOM] = halves().1;

const LARGEST: usize = 323;
/// Enough for 10^323, and for 2^1152 / 10^293 to keep 128 bits.
const LIMBS: usize = 19;

const fn halves() -> ([u64; POWERS_ROOM], [u64; POWERS_ROOM]) {
    let (mut hi, mut lo) = ([0; POWERS_ROOM], [0; POWERS_ROOM]);
    // 10^k, exactly.
    let mut number = [0; LIMBS];
    number[0] = 1;
    let mut k = 0;
    while k <= LARGEST {
        (hi[LARGEST - k], lo[LARGEST - k]) = first_128_bits(&number);
        let (mut carry, mut limb) = (0, 0);
        while limb < LIMBS {
            let product = number[limb] as u128 * 10 + carry;
            number[limb] = product as u64;
            carry = product >> 64;
            limb += 1;
        }
        k += 1;
    }
    // 2^1152 / 10^-k, rounded down: flooring after each division by ten is flooring once.
    let mut number = [0; LIMBS];
    number[LIMBS - 1] = 1;
    let mut i = LARGEST + 1;
    while i < POWERS {
        let (mut rest, mut limb) = (0, LIMBS);
        while limb > 0 {
            limb -= 1;
            let dividend = (rest << 64) | number[limb] as u128;
            number[limb] = (dividend / 10) as u64;
            rest = dividend % 10;
        }
        (hi[i], lo[i]) = first_128_bits(&number);
        i += 1;
    }
    (hi, lo)
}

const fn first_128_bits(number: &[u64; LIMBS]) -> (u64, u64) {
    let mut top = LIMBS - 1;
    while number[top] == 0 {
        top -= 1;
    }
    let (a, b, c) = (number[top], limb_below(number, top, 1), limb_below(number, top, 2));
    let shift = a.leading_zeros();
    if shift == 0 {
        return (a, b);
    }
    ((a << shift) | (b >> (64 - shift)), (b << shift) | (c >> (64 - shift)))
}

const fn limb_below(number: &[u64; LIMBS], top: usize, by: usize) -> u64 {
    if top >= by { number[top - by] } else { 0 }
}

/// Bytes that a text has at most, padded.
pub(super) const TEXT: usize = 32;

/// Where the 17th digit, the point, the zero and the sign stand among the bytes that a row chooses from; the sixteen
/// digits stand before them.
pub(super) const LAST: u8 = 16;
pub(super) const POINT: u8 = 17;
pub(super) const ZERO: u8 = 18;
pub(super) const MINUS: u8 = 19;

/// The least place of the point in plain notation, as in 0.00001, and the kinds of texts: so many places from there on,
/// and the mantissa of scientific notation.
pub(super) const LEAST_POINT: i64 = -4;
pub(super) const SCIENTIFIC: usize = 21;
const KINDS: usize = SCIENTIFIC + 1;

/// By kind, then whether there are only fifteen digits before the last one, then sign; filled up to as many as a byte can
/// tell apart, so that an index needs no check.
pub(super) const ROW_COUNT: usize = 256;

#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Aligned<T>(pub(super) T);

/// For each place of a text the byte that goes there.
pub(super) static ROWS: Aligned<[[u8; TEXT]; ROW_COUNT]> = Aligned(rows(0));
/// The same for a text whose bytes stand in the upper half of a register.
pub(super) static UPPER_ROWS: Aligned<[[u8; TEXT]; ROW_COUNT]> = Aligned(rows(TEXT as u8));

/// With the places of bytes counted from `first` on.
const fn rows(first: u8) -> [[u8; TEXT]; ROW_COUNT] {
    let mut rows = [[ZERO; TEXT]; ROW_COUNT];
    let mut i = 0;
    while i < KINDS * 4 {
        rows[i] = row(i / 4, i / 2 % 2, i % 2 == 1);
        let mut at = 0;
        while at < TEXT {
            rows[i][at] += first;
            at += 1;
        }
        i += 1;
    }
    rows
}

const fn row(kind: usize, skipped: usize, is_negative: bool) -> [u8; TEXT] {
    let mut row = [ZERO; TEXT];
    let mut at = 0;
    if is_negative {
        row[0] = MINUS;
        at = 1;
    }
    // Digits before the point.
    let whole = if kind == SCIENTIFIC { 1 } else { kind as i64 + LEAST_POINT };
    let mut digit = 0;
    while digit < whole {
        row[at] = source(skipped, digit as usize);
        at += 1;
        digit += 1;
    }
    if whole <= 0 {
        // The zero before the point is there already; so are those behind it.
        at += 1;
    }
    row[at] = POINT;
    at += 1;
    if whole < 0 {
        at += -whole as usize;
    }
    while at < TEXT {
        row[at] = source(skipped, digit as usize);
        at += 1;
        digit += 1;
    }
    row
}

/// Where the digit so many places behind the first one stands, if the first ones of sixteen are skipped.
const fn source(skipped: usize, digit: usize) -> u8 {
    match skipped + digit {
        place @ 0..=15 => place as u8,
        16 => LAST,
        _ => ZERO,
    }
}

/// [`ROWS`] for `vpshufb`, which takes the sixteen digits and puts nothing where the highest bit is set.
pub(super) static SHUFFLES: Aligned<[[u8; TEXT]; ROW_COUNT]> = Aligned(split().0);
/// What is there beside the digits: point, zeros and sign.
pub(super) static CONSTANTS: Aligned<[[u8; TEXT]; ROW_COUNT]> = Aligned(split().1);
/// The place of the 17th digit.
pub(super) static LAST_PLACES: [u8; ROW_COUNT] = split().2;

#[allow(clippy::type_complexity, reason = "three tables of one walk")]
const fn split() -> ([[u8; TEXT]; ROW_COUNT], [[u8; TEXT]; ROW_COUNT], [u8; ROW_COUNT]) {
    let all = rows(0);
    let (mut shuffles, mut constants) = ([[0x80; TEXT]; ROW_COUNT], [[0; TEXT]; ROW_COUNT]);
    let mut places = [0; ROW_COUNT];
    let mut i = 0;
    while i < ROW_COUNT {
        let mut at = 0;
        while at < TEXT {
            match all[i][at] {
                digit @ 0..LAST => shuffles[i][at] = digit,
                LAST => places[i] = at as u8,
                POINT => constants[i][at] = b'.',
                MINUS => constants[i][at] = b'-',
                _ => constants[i][at] = b'0',
            }
            at += 1;
        }
        i += 1;
    }
    (shuffles, constants, places)
}

/// Exponents that texts have, from the least on.
pub(super) const LEAST_EXPONENT: i64 = -330;
const EXPONENTS: usize = 660;

/// The text of each exponent, as in `e-7`, in the low bytes; its length in the highest.
pub(super) static EXPONENT_TEXTS: [u64; EXPONENTS] = exponent_texts();

const fn exponent_texts() -> [u64; EXPONENTS] {
    let mut texts = [0; EXPONENTS];
    let mut i = 0;
    while i < EXPONENTS {
        let exponent = i as i64 + LEAST_EXPONENT;
        let mut text = [b'e', 0, 0, 0, 0, 0, 0, 0];
        let mut length = 1;
        if exponent < 0 {
            text[length] = b'-';
            length += 1;
        }
        let size = exponent.unsigned_abs();
        let mut unit = if size >= 100 {
            100
        } else if size >= 10 {
            10
        } else {
            1
        };
        while unit > 0 {
            text[length] = b'0' + (size / unit % 10) as u8;
            length += 1;
            unit /= 10;
        }
        text[7] = length as u8;
        texts[i] = u64::from_le_bytes(text);
        i += 1;
    }
    texts
}
