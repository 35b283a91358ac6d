//! Where the lines of encoded rows end: for requests that have to be taken apart after they were filled.
//!
//! Line feeds do not tell, since strings and binary values may hold them. This walks the grammar of what the encoder
//! itself writes (`spec/ilp-wire.md` 2, 3, 6, 8 and 9), at some hundred megabytes a second; the happy path needs it not.

/// The end of every line, the position behind its line feed. Of bytes that no encoder wrote it says anything, but ends.
pub(crate) fn line_ends(lines: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        at = line_end(lines, at).min(lines.len());
        ends.push(at);
    }
    ends
}

/// The value that a line has for a symbol or field of this name, escaped as both are in lines.
pub(crate) fn value_in<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (mut at, mut in_fields, mut start) = (0, false, 0);
    let mut key: Option<&[u8]> = None;
    while let Some(byte) = line.get(at) {
        match byte {
            b'\\' => at += 1,
            b',' | b' ' | b'\n' => {
                if key == Some(name) {
                    return line.get(start..at);
                }
                in_fields |= *byte == b' ';
                (key, start) = (None, at + 1);
            }
            b'=' if key.is_none() => {
                key = line.get(start..at);
                start = at + 1;
                if in_fields {
                    at = match line.get(start) {
                        Some(b'"') => string_end(line, start + 1),
                        Some(b'=') => binary_end(line, start + 1),
                        _ => start,
                    };
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// A value of a line as people read it, shortened.
pub(crate) fn value_text(value: &[u8]) -> String {
    const SHOWN: usize = 40;
    let text = match value {
        [b'=', 0x10, bytes @ ..] => match bytes.try_into() {
            Ok(bytes) => f64::from_le_bytes(bytes).to_string(),
            Err(_) => "a float".to_owned(),
        },
        [b'=', 0x0E, ..] => "an array".to_owned(),
        [b'=', 0x17, ..] => "a decimal".to_owned(),
        text => visible(&String::from_utf8_lossy(text)),
    };
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// A text with its control characters as Rust writes them.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => visible.extend(character.escape_default()),
            false => visible.push(character),
        }
    }
    visible
}

/// The position behind the line feed of the line that starts at `at`.
fn line_end(lines: &[u8], mut at: usize) -> usize {
    let mut in_fields = false;
    while let Some(byte) = lines.get(at) {
        match byte {
            b'\\' => at += 1,
            b'\n' => return at + 1,
            b' ' => in_fields = true,
            b'=' if in_fields => {
                at = match lines.get(at + 1) {
                    Some(b'"') => string_end(lines, at + 2),
                    Some(b'=') => binary_end(lines, at + 2),
                    _ => at + 1,
                };
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    lines.len()
}

/// The position behind the closing quote of a string that starts at `at`.
pub(super) fn string_end(lines: &[u8], mut at: usize) -> usize {
    while let Some(byte) = lines.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// The position behind a binary value whose type is at `at`.
pub(super) fn binary_end(lines: &[u8], at: usize) -> usize {
    let byte = |offset: usize| lines.get(at + offset).map_or(0, |byte| usize::from(*byte));
    match byte(0) {
        // A float.
        0x10 => at + 9,
        // An array: type of its elements, number of dimensions, their lengths, elements.
        0x0E => {
            let dimensions = byte(2);
            let length = |dimension: usize| {
                let start = at + 3 + 4 * dimension;
                lines.get(start..start + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
                    as usize
            };
            let elements =
                (0..dimensions).fold(1_usize, |product, dimension| product.saturating_mul(length(dimension)));
            at.saturating_add(3 + 4 * dimensions).saturating_add(elements.saturating_mul(8))
        }
        // A decimal: scale, length of the mantissa, mantissa.
        0x17 => at + 3 + byte(2),
        _ => at + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{line_ends, value_in, value_text};

    fn check(lines: &[&[u8]]) {
        let mut expected = Vec::new();
        let mut all = Vec::new();
        for line in lines {
            all.extend_from_slice(line);
            expected.push(all.len());
        }
        assert_eq!(line_ends(&all), expected);
    }

    #[test]
    fn line_feeds_inside_values_end_no_line() {
        check(&[
            b"t a=1i 1\n",
            b"t,s=a\\\nb\\ c\\=d a=1i,b=\"x\\\"\n\\\\\" 5n\n",
            b"t,s=\"\\ =\" a=t\n",
            b"t a==\x10\n\n\n\n\n\n\n\n,b=\"\n\" 7t\n",
            b"t a==\x17\x02\x02\n\n 8n\n",
            b"t a==\x0e\x0a\x02\x01\0\0\0\x02\0\0\0\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n 9n\n",
            b"t a==\x0e\x0a\x01\0\0\0\0\n",
            b"t\\ t,s\\ =x c\\=d=-1.5e-7 10\n",
        ]);
    }

    #[test]
    fn the_encoders_own_lines_are_told_apart() {
        use std::sync::Arc;

        use arrow_array::builder::{Float64Builder, ListBuilder};
        use arrow_array::types::Int8Type;
        use arrow_array::{
            ArrayRef, Decimal128Array, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
            TimestampMicrosecondArray,
        };

        use crate::{NullBool, ProtocolVersion, WriteOptions, to_ilp};

        const NASTY: [&str; 6] = ["\n", "\\", "\"", " ,=", "a\\\n\"=\"", "é=\u{10}"];
        const ROWS: usize = 400;
        let mut random = 2_463_534_242_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        // Bytes that mean something in lines are likely in the binary values.
        let byte = |bits: u64| *b"\n\\\", =\x10\x0e\x17\0".get((bits % 10) as usize).unwrap_or(&0xff);
        let mut float = || f64::from_bits(u64::from_le_bytes(next().to_le_bytes().map(|bits| byte(u64::from(bits)))));
        let floats: Vec<f64> = (0..ROWS * 4).map(|_| float()).collect();
        let mut lists = ListBuilder::new(Float64Builder::new());
        for row in 0..ROWS {
            lists.values().append_slice(&floats[row..row + row % 4]);
            lists.append(row % 9 != 0);
        }
        let texts: Vec<String> = (0..ROWS).map(|row| NASTY[row % 6].repeat(row % 3)).collect();
        let symbols: DictionaryArray<Int8Type> =
            (0..ROWS).map(|row| (row % 5 != 0).then_some(NASTY[row % 4])).collect();
        let decimals = (0..ROWS).map(|row| (row % 3 != 0).then_some(i128::from(floats[row].to_bits() >> (row % 60))));
        let decimals = Decimal128Array::from_iter(decimals).with_precision_and_scale(38, 3).expect("a decimal");
        let columns: [(&str, ArrayRef); 7] = [
            ("s=y m", Arc::new(symbols)),
            ("f", Arc::new(Float64Array::from(floats[..ROWS].to_vec()))),
            ("l i", Arc::new(lists.finish())),
            ("t", Arc::new(StringArray::from(texts))),
            ("d", Arc::new(decimals)),
            ("n", Arc::new(Int64Array::from_iter((0..ROWS).map(|row| (row % 7 != 0).then_some(row as i64))))),
            ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(0..ROWS as i64))),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)));
        let batch = batch.expect("a batch");
        for version in [ProtocolVersion::V1, ProtocolVersion::V2, ProtocolVersion::V3] {
            let wanted: Vec<usize> = match version {
                ProtocolVersion::V1 => vec![0, 1, 3, 5, 6],
                ProtocolVersion::V2 => vec![0, 1, 2, 3, 5, 6],
                ProtocolVersion::V3 => (0..7).collect(),
            };
            let batch = batch.project(&wanted).expect("columns");
            let options =
                WriteOptions::table("a b").at("at").null_bool(NullBool::Omit).check(false).protocol_version(version);
            let all = to_ilp(&batch, &options).expect("lines");
            let mut end = 0;
            let expected: Vec<usize> = (0..ROWS)
                .map(|row| {
                    end += to_ilp(&batch.slice(row, 1), &options).expect("a line").len();
                    end
                })
                .collect();
            assert_eq!(line_ends(&all), expected, "{version}");
            assert_eq!(value_in(&all[..expected[0]], b"n"), None);
            assert_eq!(value_in(&all[expected[0]..expected[1]], b"n"), Some(&b"1i"[..]));
        }
    }

    #[test]
    fn values_are_found_by_name() {
        let line = b"t\\ t,s\\ =x\\,y,s=z a=1i,b=\"b=2,\\\"\",c==\x10\0\0\0\0\0\0\xf8\x3f,d=t 10\n";
        let value = |name: &[u8]| value_in(line, name).map(value_text);
        assert_eq!(value(b"s\\ ").as_deref(), Some("x\\,y"));
        assert_eq!(value(b"s").as_deref(), Some("z"));
        assert_eq!(value(b"a").as_deref(), Some("1i"));
        assert_eq!(value(b"b").as_deref(), Some("\"b=2,\\\"\""));
        assert_eq!(value(b"c").as_deref(), Some("1.5"));
        assert_eq!(value(b"d").as_deref(), Some("t"));
        assert_eq!(value(b"t"), None);
        assert_eq!(value_text(b"b\0c\x1b"), "b\\u{0}c\\u{1b}");
        assert_eq!(value_text("é".repeat(99).as_bytes()).chars().count(), 41);
        for end in 0..line.len() {
            let _ = value_in(&line[..end], b"zz").map(value_text);
        }
    }

    #[test]
    fn garbage_ends_somewhere() {
        assert!(line_ends(b"").is_empty());
        for garbage in [&b"t a==\x0e\x0a\x20\xff\xff\xff\xff"[..], b"t a=\"", b"\\", b"t a==", b"t a==\x17\x01\xff"] {
            assert!(line_ends(garbage).len() <= garbage.len());
        }
    }
}
