//! Numbers of any type by their decimal digits, to tell whether one type holds exactly what another held.

use std::fmt;

use arrow_array::ArrayRef;
use arrow_buffer::i256;

use crate::column::decimals::{self, Decimals};
use crate::column::{Floats, Integers};

/// A number of a column.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Integer(i128),
    Float(f64),
    Decimal(i256, i8),
}

/// A number's digits without zeros at either end, and the power of ten that the last of them stands for. Two numbers
/// are the same if these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digits {
    negative: bool,
    digits: String,
    exponent: i32,
}

impl Number {
    /// The number of a row, which is not null.
    pub(super) fn of(array: &ArrayRef, row: usize) -> Option<Self> {
        if let Some(integers) = Integers::bind(array) {
            return Some(Self::Integer(integers.get(row)));
        }
        if let Some(floats) = Floats::bind(array) {
            return Some(Self::Float(floats.get(row)));
        }
        Decimals::bind(array).map(|decimals| Self::Decimal(decimals.get(row), decimals.scale()))
    }

    pub(super) fn is_nan(&self) -> bool {
        matches!(self, Self::Float(value) if value.is_nan())
    }

    /// Whether there is nothing behind its point.
    pub(super) fn is_whole(&self) -> bool {
        self.digits().is_some_and(|digits| digits.exponent >= 0)
    }

    /// The digits of a finite number; for a float the fewest that tell it from its neighbours.
    pub(super) fn digits(&self) -> Option<Digits> {
        match self {
            Self::Float(value) if !value.is_finite() => None,
            // In this form: an optional sign, a digit, maybe a point and digits, an exponent.
            Self::Float(value) => Digits::parse(&format!("{value:e}")),
            other => Digits::parse(&other.to_string()),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Decimal(unscaled, scale) => f.write_str(&decimals::text(*unscaled, *scale)),
        }
    }
}

impl Digits {
    /// Reads a decimal number: a sign, digits with at most one point among them, an exponent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let negative = mantissa.starts_with('-');
        let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = digits.trim_end_matches('0');
        let exponent = exponent
            .checked_sub(i32::try_from(fraction.len()).ok()?)?
            .checked_add(i32::try_from(digits.len() - significant.len()).ok()?)?;
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            return Some(Self { negative: false, digits: String::new(), exponent: 0 });
        }
        Some(Self { negative, digits: significant.to_owned(), exponent })
    }

    /// Whether a decimal of this precision and scale holds the number.
    pub(super) fn fits(&self, precision: u8, scale: u8) -> bool {
        let before_point = self.digits.len() as i64 + i64::from(self.exponent);
        self.digits.is_empty()
            || (self.exponent >= -i32::from(scale) && before_point <= i64::from(precision) - i64::from(scale))
    }
}

/// The number as an integer, if it is one of 64 bits.
pub(super) fn whole(number: &Number) -> Option<i64> {
    match number {
        Number::Integer(value) => i64::try_from(*value).ok(),
        Number::Float(value) => {
            // The bounds are powers of two, so the comparison is exact.
            let fits = *value >= -9_223_372_036_854_775_808.0 && *value < 9_223_372_036_854_775_808.0;
            (fits && value.fract() == 0.0).then_some(*value as i64)
        }
        Number::Decimal(unscaled, scale) => {
            let factor = i256::from_i128(10).checked_pow(u32::from(scale.unsigned_abs()))?;
            let value = if *scale > 0 {
                (unscaled.wrapping_rem(factor) == i256::ZERO).then(|| unscaled.wrapping_div(factor))?
            } else {
                unscaled.checked_mul(factor)?
            };
            i64::try_from(value.to_i128()?).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_the_number() {
        let digits = |text: &str| Digits::parse(text);
        for (a, b) in [("1.50", "15e-1"), ("-0.0", "0"), ("100", "1e2"), ("0.001", "1E-3"), ("+7", "7.")] {
            assert_eq!(digits(a), digits(b), "{a} {b}");
            assert!(digits(a).is_some(), "{a}");
        }
        assert_ne!(digits("-1"), digits("1"));
        for text in ["", ".", "-", "1.2.3", "1e", "0x1", "NaN", "1_0", "1e99999999999"] {
            assert_eq!(digits(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_a_decimal_holds() {
        let fits =
            |text: &str, precision, scale| Digits::parse(text).is_some_and(|digits| digits.fits(precision, scale));
        assert!(fits("99999999.99", 10, 2) && fits("1.2500", 10, 2) && fits("0", 1, 1) && fits("1e7", 10, 2));
        assert!(!fits("100000000", 10, 2) && !fits("1.255", 10, 2) && !fits("1", 1, 1));
    }

    #[test]
    fn whole_numbers() {
        assert_eq!(whole(&Number::Float(-9_223_372_036_854_775_808.0)), Some(i64::MIN));
        assert_eq!(whole(&Number::Float(9_223_372_036_854_775_808.0)), None);
        assert_eq!(whole(&Number::Float(1.5)), None);
        assert_eq!(whole(&Number::Float(f64::INFINITY)), None);
        assert_eq!(whole(&Number::Decimal(i256::from_i128(1200), 2)), Some(12));
        assert_eq!(whole(&Number::Decimal(i256::from_i128(1201), 2)), None);
        assert_eq!(whole(&Number::Decimal(i256::from_i128(12), -2)), Some(1200));
    }
}
