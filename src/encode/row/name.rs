//! Names of tables and columns, as the official client takes them.

use super::RowError;
use super::memory::Lines;
use crate::fmt::escape::Escape;

/// A table's name that keeps the rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableName {
    pub(super) name: String,
    pub(super) escaped: Vec<u8>,
}

impl TableName {
    /// The table's name in lines that get another.
    pub(crate) const PLACEHOLDER: &str = "t";

    pub(crate) fn new(name: &str, max_name_len: usize) -> Result<Self, RowError> {
        let mut escaped = Lines::default();
        push_name(&mut escaped, name, "Table", max_name_len)?;
        Ok(Self { name: name.to_owned(), escaped: escaped.into_vec() })
    }
}

/// Whether all bytes are letters, digits or underscores of ASCII, which names may have and which need no escape. Eight
/// bytes at a time: names are short, and each row has some.
fn is_plain(name: &[u8]) -> bool {
    /// Bit 7 of each byte: whether its low seven bits are at least `least` and below `end`.
    const fn within(word: u64, least: u8, end: u8) -> u64 {
        const ONES: u64 = 0x0101_0101_0101_0101;
        let low = word & (0x7f * ONES);
        let reaches = low + (0x80 - least as u64) * ONES;
        let exceeds = low + (0x80 - end as u64) * ONES;
        reaches & !exceeds
    }
    let is_plain = |word: u64| {
        let letters = within(word | 0x2020_2020_2020_2020, b'a', b'z' + 1);
        let plain = letters | within(word, b'0', b'9' + 1) | within(word, b'_', b'_' + 1);
        plain & !word & 0x8080_8080_8080_8080 == 0x8080_8080_8080_8080
    };
    let (words, rest) = name.as_chunks::<8>();
    let mut last = [b'_'; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.iter().all(|word| is_plain(u64::from_le_bytes(*word))) && is_plain(u64::from_le_bytes(last))
}

/// Appends a name, escaped. `what` it names is `Table` or `Column`, here and below; `most` bytes are the limit.
pub(super) fn push_name(bytes: &mut Lines, name: &str, what: &'static str, most: usize) -> Result<(), RowError> {
    if !name.is_empty() && name.len() <= most && is_plain(name.as_bytes()) {
        bytes.extend_from_slice(name.as_bytes());
        return Ok(());
    }
    check_name(name, what, most)?;
    bytes.push_escaped(name, Escape::Unquoted);
    Ok(())
}

pub(super) fn check_name(name: &str, what: &'static str, most: usize) -> Result<(), RowError> {
    if name.is_empty() {
        return Err(RowError::NameEmpty { what });
    }
    let last = name.chars().count() - 1;
    let mut before = '.';
    for (position, character) in name.chars().enumerate() {
        match character {
            '\u{feff}' => return Err(RowError::NameBom { what, name: name.to_owned(), position }),
            '.' if what == "Table" && before != '.' && position < last => {}
            '.' if what == "Table" => return Err(RowError::NameDot { name: name.to_owned(), position }),
            '.' | '-' if what == "Table" => {}
            '?'
            | ','
            | '\''
            | '"'
            | '\\'
            | '/'
            | ':'
            | ')'
            | '('
            | '+'
            | '*'
            | '%'
            | '~'
            | '.'
            | '-'
            | '\0'..='\u{f}'
            | '\u{7f}' => {
                return Err(RowError::NameCharacter { what, name: name.to_owned(), character, position });
            }
            _ => {}
        }
        before = character;
    }
    if name.len() > most {
        return Err(RowError::NameTooLong { name: name.to_owned(), most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_told_by_every_byte() {
        for byte in 0..=255_u8 {
            let expected = byte.is_ascii_alphanumeric() || byte == b'_';
            for length in [1, 7, 8, 9, 17] {
                for place in [0, length / 2, length - 1] {
                    let mut name = vec![b'a'; length];
                    name[place] = byte;
                    assert_eq!(is_plain(&name), expected, "{byte} at {place} of {length}");
                }
            }
        }
    }
}
