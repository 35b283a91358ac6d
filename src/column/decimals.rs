//! Decimal columns: unscaled values of any width.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type};
use arrow_buffer::i256;
use arrow_schema::DataType;

use crate::fmt::SLOT;

/// The values of a decimal array.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimals<'a> {
    values: Unscaled<'a>,
    scale: i8,
}

#[derive(Clone, Copy, Debug)]
enum Unscaled<'a> {
    D32(&'a [i32]),
    D64(&'a [i64]),
    D128(&'a [i128]),
    D256(&'a [i256]),
}

impl<'a> Decimals<'a> {
    /// `None` if the array holds no decimals.
    pub(crate) fn bind(array: &'a dyn Array) -> Option<Self> {
        let (values, scale) = match array.data_type() {
            DataType::Decimal32(_, scale) => (Unscaled::D32(array.as_primitive::<Decimal32Type>().values()), scale),
            DataType::Decimal64(_, scale) => (Unscaled::D64(array.as_primitive::<Decimal64Type>().values()), scale),
            DataType::Decimal128(_, scale) => (Unscaled::D128(array.as_primitive::<Decimal128Type>().values()), scale),
            DataType::Decimal256(_, scale) => (Unscaled::D256(array.as_primitive::<Decimal256Type>().values()), scale),
            _ => return None,
        };
        Some(Self { values, scale: *scale })
    }

    /// Digits behind the point.
    pub(crate) fn scale(&self) -> i8 {
        self.scale
    }

    /// The unscaled value of a row.
    pub(crate) fn get(&self, row: usize) -> i256 {
        match self.values {
            Unscaled::D32(values) => i256::from_i128(i128::from(values[row])),
            Unscaled::D64(values) => i256::from_i128(i128::from(values[row])),
            Unscaled::D128(values) => i256::from_i128(values[row]),
            Unscaled::D256(values) => values[row],
        }
    }

    /// The bytes of a value, as they go on the wire.
    pub(crate) fn width(&self) -> usize {
        match self.values {
            Unscaled::D32(_) => 4,
            Unscaled::D64(_) => 8,
            Unscaled::D128(_) => 16,
            Unscaled::D256(_) => 32,
        }
    }

    /// The unscaled values of these rows, big-endian, to their slots.
    pub(crate) fn fill(&self, rows: std::ops::Range<usize>, slots: &mut [[u8; SLOT]]) {
        fn put<const N: usize>(slots: &mut [[u8; SLOT]], values: impl Iterator<Item = [u8; N]>) {
            slots.iter_mut().zip(values).for_each(|(slot, bytes)| slot[..N].copy_from_slice(&bytes));
        }
        match self.values {
            Unscaled::D32(values) => put(slots, values[rows].iter().map(|value| value.to_be_bytes())),
            Unscaled::D64(values) => put(slots, values[rows].iter().map(|value| value.to_be_bytes())),
            Unscaled::D128(values) => put(slots, values[rows].iter().map(|value| value.to_be_bytes())),
            Unscaled::D256(values) => put(slots, values[rows].iter().map(|value| value.to_be_bytes())),
        }
    }
}

/// The decimal of this unscaled value and scale as people write it, every digit of the scale there.
pub(crate) fn text(unscaled: i256, scale: i8) -> String {
    let digits = unscaled.to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
    let Ok(scale) = usize::try_from(scale) else {
        let zeros = if digits == "0" { 0 } else { usize::from(scale.unsigned_abs()) };
        return format!("{sign}{digits}{}", "0".repeat(zeros));
    };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_as_text() {
        for (unscaled, scale, expected) in
            [(12345, 2, "123.45"), (-5, 3, "-0.005"), (0, 2, "0.00"), (7, 0, "7"), (12, -3, "12000"), (0, -3, "0")]
        {
            assert_eq!(text(i256::from_i128(unscaled), scale), expected);
        }
        assert_eq!(
            text(i256::MIN, 76),
            format!("-{}", "5.7896044618658097711785492504343953926634992332820282019728792003956564819968")
        );
    }
}
