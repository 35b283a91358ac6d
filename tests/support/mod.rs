//! What several test programs share.

#![allow(dead_code, reason = "every test program uses a part of it")]

pub(crate) mod dice;
pub(crate) mod judge;
pub(crate) mod random;
pub(crate) mod reference;

use questframe::{EmptyRows, Nan, NullAt, NullBool, ProtocolVersion, Symbols, WriteOptions};

/// The crate's options with the meaning of the reference encoder's.
pub(crate) fn write_options(options: &reference::Options) -> WriteOptions {
    let at = match &options.at {
        reference::At::Column(name) => questframe::At::Column(name.clone()),
        reference::At::Server => questframe::At::Server,
        reference::At::Nanos(nanos) => questframe::At::Nanos(*nanos),
        reference::At::Micros(micros) => questframe::At::Micros(*micros),
    };
    let symbols = match &options.symbols {
        reference::Symbols::Auto => Symbols::Auto,
        reference::Symbols::All => Symbols::All,
        reference::Symbols::None => Symbols::None,
        reference::Symbols::Columns(names) => Symbols::Columns(names.clone()),
    };
    let null_bool = match options.null_bool {
        reference::NullBool::Error => NullBool::Error,
        reference::NullBool::False => NullBool::False,
        reference::NullBool::Omit => NullBool::Omit,
    };
    WriteOptions::table(&options.table)
        .at(at)
        .symbols(symbols)
        .protocol_version(ProtocolVersion::from_number(options.version.into()).expect("a version"))
        .null_at(if options.null_at_server { NullAt::Server } else { NullAt::Error })
        .null_bool(null_bool)
        .empty_rows(if options.skip_empty_rows { EmptyRows::Skip } else { EmptyRows::Error })
        .nan(if options.omit_nan { Nan::Omit } else { Nan::Send })
}

/// Where two encodings part, told by the line and the bytes around it; `None` if they are the same.
pub(crate) fn first_difference(expected: &[u8], got: &[u8]) -> Option<String> {
    if expected == got {
        return None;
    }
    let at = expected.iter().zip(got).take_while(|(a, b)| a == b).count();
    let line = expected[..at].iter().filter(|&&byte| byte == b'\n').count();
    let around = |bytes: &[u8]| {
        let from = at.saturating_sub(60);
        bytes[from..bytes.len().min(at + 60)].escape_ascii().to_string()
    };
    Some(format!(
        "{} expected bytes, got {}; the first difference is at byte {at} (about line {line}):\n  expected ...{}\n  got      ...{}",
        expected.len(),
        got.len(),
        around(expected),
        around(got),
    ))
}
