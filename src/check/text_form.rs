//! Text that the server turns into another type: whether it does, and loses nothing.
//!
//! Source: `spec/ilp-wire.md` section 10, details; each refusal here is a value that the server refuses, or, worse,
//! takes for NULL.

use super::number::Digits;
use crate::plan::landing::TextForm;

/// What QuestDB stores for NULL: the least 64-bit integer, two and four times.
const NULL_UUID: &[u8] = b"80000000-0000-0000-8000-000000000000";
const NULL_LONG256: &[u8] = b"0x8000000000000000800000000000000080000000000000008000000000000000";

/// Why this text has no such form, and what to do.
pub(super) fn fault(text: &[u8], form: TextForm) -> Option<(&'static str, &'static str)> {
    match form {
        TextForm::Char => {
            let fits = matches!(text, [byte] if byte.is_ascii() && *byte != 0);
            (!fits)
                .then_some(("a CHAR is one ASCII character to ILP", "shorten it, or make the table's column VARCHAR"))
        }
        TextForm::Uuid if text == NULL_UUID => {
            Some(("this UUID is what QuestDB stores for NULL", "use null, or make the table's column VARCHAR"))
        }
        TextForm::Uuid => (!is_uuid(text)).then_some((
            "this is no UUID of 36 characters, as in 11111111-2222-3333-4444-555555555555",
            "rewrite it, or make the table's column VARCHAR",
        )),
        TextForm::Ipv4 => {
            let address = std::str::from_utf8(text).ok().and_then(|text| text.parse::<std::net::Ipv4Addr>().ok());
            match address {
                None => Some((
                    "this is no IPv4 address, as in 192.168.0.1",
                    "rewrite it, or make the table's column VARCHAR",
                )),
                Some(address) if address.is_unspecified() => {
                    Some(("0.0.0.0 is what QuestDB stores for NULL", "use null, or make the table's column VARCHAR"))
                }
                Some(_) => None,
            }
        }
        TextForm::Long256 if text == NULL_LONG256 => {
            Some(("this number is what QuestDB stores for NULL", "use null, or write it into a VARCHAR column"))
        }
        TextForm::Long256 => {
            let digits = text.strip_prefix(b"0x").unwrap_or_default();
            let fits = (2..=64).contains(&digits.len())
                && digits.len().is_multiple_of(2)
                && digits.iter().all(u8::is_ascii_hexdigit);
            (!fits).then_some((
                "a LONG256 is written 0x and an even number of hexadecimal digits, at most 64",
                "rewrite it, with a 0 in front if a digit is missing",
            ))
        }
        TextForm::Geohash(bits) => {
            let characters = usize::from(bits).div_ceil(5);
            if text.is_empty() || !text.iter().all(|byte| is_geohash(*byte)) {
                return Some((
                    "this is no geohash (digits and the letters b to z without i, l and o), and QuestDB would store NULL",
                    "rewrite it",
                ));
            }
            match text.len().cmp(&characters) {
                std::cmp::Ordering::Less => {
                    Some(("the geohash is shorter than the column's, and QuestDB would store NULL", "lengthen it"))
                }
                std::cmp::Ordering::Greater => {
                    Some(("the geohash is longer than the column's, and QuestDB would cut it", "cut it yourself"))
                }
                std::cmp::Ordering::Equal => None,
            }
        }
        TextForm::Decimal { precision, scale } => {
            let digits = std::str::from_utf8(text).ok().and_then(Digits::parse);
            match digits {
                None => Some(("this is no decimal number", "rewrite it")),
                Some(digits) if !digits.fits(precision, scale) => {
                    Some(("the decimal does not fit the column's precision and scale", "round it, or widen the column"))
                }
                Some(_) => None,
            }
        }
    }
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn is_geohash(byte: u8) -> bool {
    byte.is_ascii_digit()
        || (byte.is_ascii_alphabetic() && !matches!(byte.to_ascii_lowercase(), b'a' | b'i' | b'l' | b'o'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let takes = |form, text: &str| fault(text.as_bytes(), form).is_none();
        for (form, good, bad) in [
            (TextForm::Char, vec!["a", " "], vec!["", "ab", "é", "\0"]),
            (
                TextForm::Uuid,
                vec!["11111111-2222-3333-4444-55555555aAbB"],
                vec![
                    "",
                    "11111111222233334444555555555555",
                    "{11111111-2222-3333-4444-555555555555}",
                    "80000000-0000-0000-8000-000000000000",
                ],
            ),
            (
                TextForm::Ipv4,
                vec!["1.2.3.4", "255.255.255.255"],
                vec!["", "null", "0.0.0.0", "1.2.3", "::1", "256.1.1.1"],
            ),
            (TextForm::Long256, vec!["0x01", "0xFf"], vec!["", "0x", "01", "0X01", "0xgg", "0x1", "0x123"]),
            (TextForm::Geohash(25), vec!["u33d8", "U33D8"], vec!["", "u33d", "u33d8b", "abc12"]),
            (TextForm::Geohash(7), vec!["u3"], vec!["u", "u33"]),
            (TextForm::Decimal { precision: 4, scale: 2 }, vec!["1.25", "-12.3", "1e1"], vec!["", "1.255", "100", "x"]),
        ] {
            for text in good {
                assert!(takes(form, text), "{form:?} {text:?}");
            }
            for text in bad {
                assert!(!takes(form, text), "{form:?} {text:?}");
            }
        }
        let long = format!("0x{}", "f".repeat(64));
        assert!(takes(TextForm::Long256, &long) && !takes(TextForm::Long256, &format!("{long}f")));
        assert!(!takes(TextForm::Long256, &format!("0x{}", "8000000000000000".repeat(4))));
    }
}
