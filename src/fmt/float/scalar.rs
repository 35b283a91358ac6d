//! One value at a time, by `zmij`: where there is no vector kernel, and for the values that those leave out.
//!
//! Its text differs from the rule only in the `+` of positive exponents, which is taken out here, and in the spelling of
//! what is not finite.

use super::TEXT;

/// Writes the text of `value` to the start of `slot` and returns its length: at most 24.
pub(crate) fn write(value: f64, slot: &mut [u8; TEXT]) -> usize {
    if !value.is_finite() {
        let text: &[u8] = if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        };
        slot[..text.len()].copy_from_slice(text);
        return text.len();
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value).as_bytes();
    let length = text.len();
    slot[..length].copy_from_slice(text);
    // Only texts of at least 1e16 have a plus, and they are the only ones with 'e' followed by '+'.
    if value.abs() >= 1e16
        && let Some(plus) = text.iter().position(|&b| b == b'+')
    {
        slot.copy_within(plus + 1..length, plus);
        return length - 1;
    }
    length
}
