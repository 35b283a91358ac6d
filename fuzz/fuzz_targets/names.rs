//! Any names and texts: what is accepted reads back from the line as it was given.

#![no_main]

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use libfuzzer_sys::fuzz_target;
use questframe::{At, ProtocolVersion, Symbols, WriteOptions, to_ilp};

/// Reads up to an end that no backslash stands before, and takes the backslashes out.
fn unescaped<'a>(line: &'a str, ends: &[char]) -> (String, &'a str) {
    let mut text = String::new();
    let mut chars = line.char_indices();
    while let Some((place, char)) = chars.next() {
        match char {
            '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
            end if ends.contains(&end) => return (text, &line[place..]),
            char => text.push(char),
        }
    }
    (text, "")
}

/// The next of the line after this start.
fn after<'a>(line: &'a str, start: &str) -> &'a str {
    line.strip_prefix(start).unwrap_or_else(|| panic!("{line:?} does not go on with {start:?}"))
}

fuzz_target!(|input: (u8, &str, &str, &str, &str)| {
    let (version, table, symbol, field, text) = input;
    let texts = || -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let columns = [(symbol, texts()), (field, texts()), ("n", number)];
    let Ok(batch) = RecordBatch::try_from_iter(columns) else { return };
    let options = WriteOptions::table(table)
        .at(At::Server)
        .symbols(Symbols::Columns(vec![symbol.to_owned()]))
        .protocol_version(ProtocolVersion::from_number((1 + version % 3).into()).expect("a version"));
    let Ok(lines) = to_ilp(&batch, &options) else { return };
    let line = std::str::from_utf8(&lines).expect("UTF-8");
    let ends = [',', ' ', '=', '\n'];
    let (got, line) = unescaped(line, &ends);
    assert_eq!(got, table);
    let (got, line) = unescaped(after(line, ","), &ends);
    assert_eq!(got, symbol);
    let (got, line) = unescaped(after(line, "="), &ends);
    assert_eq!(got, text);
    let (got, line) = unescaped(after(line, " "), &ends);
    assert_eq!(got, field);
    let (got, line) = unescaped(after(line, "=\""), &['"']);
    assert_eq!(got, text);
    assert_eq!(line, "\",n=1i\n");
});
