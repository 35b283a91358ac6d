//! Lines written one row at a time, for callers that have no frame: the drop-in's `row()`.
//!
//! Rules and texts of errors are those of the official client (`spec/dataframe.md` 1.7, 3.8 and 5). The column-wise
//! encoder shares the escapes and the kernels for numbers, nothing else.

mod error;
mod memory;
mod name;

use arrow_buffer::i256;
use bytes::Bytes;

pub use self::error::RowError;
use self::memory::Lines;
pub(crate) use self::name::TableName;
use self::name::{check_name, push_name};
use super::lines::line_ends;
use crate::fmt::{SLOT, escape::Escape, float};
use crate::options::ProtocolVersion;

/// The most dimensions of an array.
const MOST_DIMS: usize = 32;
/// The most bytes of an array's elements.
const MOST_ARRAY_BYTES: usize = 512 << 20;
/// The largest scale of a decimal.
const MOST_SCALE: u32 = 76;

/// The designated timestamp of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowAt {
    /// The server's clock.
    Server,
    /// Microseconds since the epoch.
    Micros(i64),
    /// Nanoseconds since the epoch.
    Nanos(i64),
}

/// The tables that rows go to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Tables {
    #[default]
    None,
    One(String),
    Several,
}

impl Tables {
    fn add(&mut self, table: &str) {
        match self {
            Self::None => *self = Self::One(table.to_owned()),
            Self::One(name) if name != table => *self = Self::Several,
            Self::One(_) | Self::Several => {}
        }
    }
}

/// Finished lines, and how many rows of which tables they are.
///
/// ```
/// use questframe::{ProtocolVersion, RowAt, RowBuffer};
/// let mut buffer = RowBuffer::new(ProtocolVersion::V1, 127, 1024);
/// let mut row = buffer.row("trades")?;
/// row.symbol("side", "buy")?;
/// row.float("price", 2615.5)?;
/// row.finish(RowAt::Micros(1_735_787_045_000_000))?;
/// assert_eq!(buffer.as_bytes(), b"trades,side=buy price=2615.5 1735787045000000000\n");
/// # Ok::<(), questframe::RowError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RowBuffer {
    bytes: Lines,
    version: ProtocolVersion,
    max_name_len: usize,
    rows: u64,
    tables: Tables,
}

impl RowBuffer {
    /// An empty buffer with room for so many bytes; it grows as it must. Names may have `max_name_len` bytes.
    pub fn new(version: ProtocolVersion, max_name_len: usize, capacity: usize) -> Self {
        let mut bytes = Vec::new();
        // A wish that cannot be granted is not an error before something is written.
        let _ = bytes.try_reserve_exact(capacity);
        let bytes = Lines { bytes, len: 0 };
        Self { bytes, version, max_name_len, rows: 0, tables: Tables::None }
    }

    /// The lines so far.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The protocol version of its lines.
    pub fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// The longest name that it takes, in bytes of UTF-8.
    pub fn max_name_len(&self) -> usize {
        self.max_name_len
    }

    /// The bytes it holds before it has to grow.
    pub fn capacity(&self) -> usize {
        self.bytes.bytes.capacity()
    }

    /// Makes room for so many more bytes.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn reserve(&mut self, additional: usize) -> Result<(), std::collections::TryReserveError> {
        let room = additional.saturating_sub(self.bytes.bytes.len() - self.bytes.len);
        self.bytes.bytes.try_reserve(room)
    }

    /// Forgets all rows and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.truncate(0);
        (self.rows, self.tables) = (0, Tables::None);
    }

    /// Takes the rows out, and leaves an empty buffer without room.
    pub fn take(&mut self) -> Self {
        let empty = Self::new(self.version, self.max_name_len, 0);
        std::mem::replace(self, empty)
    }

    /// The lines, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes.into_vec()
    }

    /// Lends the lines to a request; [`restore`](Self::restore) takes them back.
    pub(crate) fn lend(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).into_vec().into()
    }

    /// Takes lent lines back, or only their room. A copy is made if somebody else still holds them.
    pub(crate) fn restore(&mut self, lines: Bytes, keep: bool) {
        let bytes: Vec<u8> = match lines.try_into_mut() {
            Ok(lines) => lines.into(),
            Err(lines) if keep => lines.into(),
            Err(_) => Vec::new(),
        };
        let len = bytes.len();
        self.bytes.put(bytes, len);
        if !keep {
            self.clear();
        }
    }

    /// Whether there are rows of more than one table.
    pub fn has_several_tables(&self) -> bool {
        self.tables == Tables::Several
    }

    /// Begins a row of a table. If it is dropped before [`Row::finish`] the buffer is as it was before.
    ///
    /// # Errors
    /// The table's name breaks the rules.
    pub fn row<'b>(&'b mut self, table: &'b str) -> Result<Row<'b>, RowError> {
        let start = self.bytes.len;
        if let Err(error) = push_name(&mut self.bytes, table, "Table", self.max_name_len) {
            self.bytes.truncate(start);
            return Err(error);
        }
        Ok(Row { body: self.bytes.len, buffer: self, start, table, in_fields: false, is_finished: false })
    }

    /// Checks a table's name but for its length.
    ///
    /// # Errors
    /// A character breaks the rules, or there is none.
    pub fn check_table_name(name: &str) -> Result<(), RowError> {
        check_name(name, "Table", usize::MAX)
    }

    /// Checks a column's name but for its length.
    ///
    /// # Errors
    /// As [`check_table_name`](Self::check_table_name).
    pub fn check_column_name(name: &str) -> Result<(), RowError> {
        check_name(name, "Column", usize::MAX)
    }

    /// Where the buffer is now, to go back to.
    pub(crate) fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len, rows: self.rows, tables: self.tables.clone() }
    }

    /// Forgets everything since the mark.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        (self.rows, self.tables) = (mark.rows, mark.tables);
    }

    /// The memory of the lines, for the column-wise encoder.
    pub(crate) fn lines(&mut self) -> &mut Lines {
        &mut self.bytes
    }

    /// Counts rows whose lines have been written into that memory.
    pub(crate) fn count(&mut self, rows: u64, table: &str) {
        if rows > 0 {
            self.rows += rows;
            self.tables.add(table);
        }
    }

    /// Appends lines of one table, made by the column-wise encoder.
    pub(crate) fn append(&mut self, lines: &[u8], rows: u64, table: &str) {
        self.bytes.extend_from_slice(lines);
        self.count(rows, table);
    }

    /// Appends lines whose table is left out: each gets the one that its row's code stands for.
    pub(crate) fn append_with_tables(&mut self, lines: &[u8], codes: &[u32], tables: &[TableName]) {
        let mut start = 0;
        for (end, code) in line_ends(lines).into_iter().zip(codes) {
            let table = &tables[*code as usize];
            self.bytes.extend_from_slice(&table.escaped);
            // Behind the placeholder.
            self.bytes.extend_from_slice(&lines[start + TableName::PLACEHOLDER.len()..end]);
            self.tables.add(&table.name);
            start = end;
        }
        self.rows += codes.len() as u64;
    }
}

/// A place in a [`RowBuffer`].
#[derive(Debug)]
pub(crate) struct Mark {
    bytes: usize,
    rows: u64,
    tables: Tables,
}

/// A row being written: symbols first, then fields, then [`finish`](Self::finish).
#[derive(Debug)]
pub struct Row<'b> {
    buffer: &'b mut RowBuffer,
    /// Where the line starts, and where its symbols and fields do.
    start: usize,
    body: usize,
    table: &'b str,
    in_fields: bool,
    is_finished: bool,
}

impl Row<'_> {
    /// Whether nothing has been written yet.
    pub fn is_empty(&self) -> bool {
        self.buffer.bytes.len == self.body
    }

    /// Writes a symbol.
    ///
    /// # Errors
    /// The name breaks the rules, or a field has been written already.
    pub fn symbol(&mut self, name: &str, value: &str) -> Result<(), RowError> {
        if self.in_fields {
            return Err(RowError::LateSymbol);
        }
        self.begin(b',', name)?;
        self.buffer.bytes.push_escaped(value, Escape::Unquoted);
        Ok(())
    }

    /// Writes what stands before a value. A name that breaks the rules leaves nothing behind.
    fn begin(&mut self, separator: u8, name: &str) -> Result<(), RowError> {
        let RowBuffer { bytes, max_name_len, .. } = &mut *self.buffer;
        let before = bytes.len;
        bytes.push(separator);
        let pushed = push_name(bytes, name, "Column", *max_name_len);
        match pushed {
            Ok(()) => bytes.push(b'='),
            Err(_) => bytes.truncate(before),
        }
        pushed
    }

    fn key(&mut self, name: &str) -> Result<&mut Lines, RowError> {
        self.begin(if self.in_fields { b',' } else { b' ' }, name)?;
        self.in_fields = true;
        Ok(&mut self.buffer.bytes)
    }

    /// Writes a field whose value may turn out to be none: then the row is as it was.
    fn field(&mut self, name: &str, write: impl FnOnce(&mut Lines) -> Result<(), RowError>) -> Result<(), RowError> {
        let (before, in_fields) = (self.buffer.bytes.len, self.in_fields);
        let written = self.key(name).and_then(write);
        if written.is_err() {
            self.buffer.bytes.truncate(before);
            self.in_fields = in_fields;
        }
        written
    }

    /// Writes a boolean.
    ///
    /// # Errors
    /// The name breaks the rules.
    pub fn boolean(&mut self, name: &str, value: bool) -> Result<(), RowError> {
        self.key(name)?.push(if value { b't' } else { b'f' });
        Ok(())
    }

    /// Writes an integer.
    ///
    /// # Errors
    /// The name breaks the rules.
    pub fn integer(&mut self, name: &str, value: i64) -> Result<(), RowError> {
        self.number(name, value, b'i')
    }

    fn number(&mut self, name: &str, value: i64, suffix: u8) -> Result<(), RowError> {
        let bytes = self.key(name)?;
        bytes.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        bytes.push(suffix);
        Ok(())
    }

    /// Writes a float.
    ///
    /// # Errors
    /// The name breaks the rules.
    pub fn float(&mut self, name: &str, value: f64) -> Result<(), RowError> {
        let is_text = self.buffer.version == ProtocolVersion::V1;
        let bytes = self.key(name)?;
        if is_text {
            let mut slot = [0; SLOT];
            let length = float::write(value, &mut slot);
            bytes.extend_from_slice(&slot[..length]);
        } else {
            bytes.extend_from_slice(&[b'=', 16]);
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        Ok(())
    }

    /// Writes a string.
    ///
    /// # Errors
    /// The name breaks the rules.
    pub fn text(&mut self, name: &str, value: &str) -> Result<(), RowError> {
        let bytes = self.key(name)?;
        bytes.push(b'"');
        bytes.push_escaped(value, Escape::Quoted);
        bytes.push(b'"');
        Ok(())
    }

    /// Writes a timestamp in microseconds.
    ///
    /// # Errors
    /// The name breaks the rules.
    pub fn micros(&mut self, name: &str, value: i64) -> Result<(), RowError> {
        self.number(name, value, b't')
    }

    /// Writes a timestamp in nanoseconds; with protocol version 1 the digits below microseconds are cut off.
    ///
    /// # Errors
    /// The name breaks the rules.
    pub fn nanos(&mut self, name: &str, value: i64) -> Result<(), RowError> {
        match self.buffer.version {
            ProtocolVersion::V1 => self.number(name, value / 1000, b't'),
            _ => self.number(name, value, b'n'),
        }
    }

    /// Writes an array of floats: its dimensions, and its elements in row-major order.
    ///
    /// # Errors
    /// The name breaks the rules; no dimensions or more than 32; more or fewer elements than they have; protocol version 1.
    pub fn array(
        &mut self,
        name: &str,
        dims: &[usize],
        elements: impl IntoIterator<Item = f64>,
    ) -> Result<(), RowError> {
        let version = self.buffer.version;
        if dims.is_empty() {
            return Err(RowError::NoDimensions);
        }
        if version == ProtocolVersion::V1 {
            return Err(RowError::Version { version, what: "array datatype" });
        }
        self.field(name, |bytes| {
            if dims.len() > MOST_DIMS {
                return Err(RowError::Dimensions(dims.len()));
            }
            let size = dims.iter().fold(8_usize, |size, dim| size.saturating_mul(*dim));
            if size > MOST_ARRAY_BYTES {
                return Err(RowError::ArraySize(size));
            }
            bytes.extend_from_slice(&[b'=', 14, 10, dims.len() as u8]);
            for dim in dims {
                // Of an array without elements one may be larger.
                let dim = u32::try_from(*dim).map_err(|_| RowError::ArraySize(*dim))?;
                bytes.extend_from_slice(&dim.to_le_bytes());
            }
            let (room, _) = bytes.spare(size).as_chunks_mut::<8>();
            let mut elements = elements.into_iter();
            for place in room {
                *place = elements.next().ok_or(RowError::Elements(size / 8))?.to_le_bytes();
            }
            if elements.next().is_some() {
                return Err(RowError::Elements(size / 8));
            }
            bytes.len += size;
            Ok(())
        })
    }

    /// Writes a decimal: `unscaled` / 10^`scale`.
    ///
    /// # Errors
    /// The name breaks the rules; the scale is above 76; protocol version 1 or 2.
    pub fn decimal(&mut self, name: &str, unscaled: i256, scale: u32) -> Result<(), RowError> {
        let version = self.buffer.version;
        if version < ProtocolVersion::V3 {
            return Err(RowError::Version { version, what: "the decimal datatype" });
        }
        self.field(name, |bytes| push_decimal(bytes, unscaled, scale))
    }

    /// Ends the row.
    ///
    /// # Errors
    /// It holds nothing; the timestamp is negative, or with protocol version 1 too large. Then the row is dropped.
    pub fn finish(mut self, at: RowAt) -> Result<(), RowError> {
        if self.is_empty() {
            return Err(RowError::Empty);
        }
        let is_v1 = self.buffer.version == ProtocolVersion::V1;
        let (value, suffix): (i64, &[u8]) = match at {
            RowAt::Server => (0, b""),
            // As it would have gone out.
            RowAt::Micros(value @ ..0) if is_v1 => return Err(RowError::NegativeAt(value.saturating_mul(1000))),
            RowAt::Micros(value @ ..0) | RowAt::Nanos(value @ ..0) => return Err(RowError::NegativeAt(value)),
            RowAt::Micros(value) if is_v1 => (value.checked_mul(1000).ok_or(RowError::AtOutOfRange(value))?, b""),
            RowAt::Nanos(value) if is_v1 => (value, b""),
            RowAt::Micros(value) => (value, b"t"),
            RowAt::Nanos(value) => (value, b"n"),
        };
        let bytes = &mut self.buffer.bytes;
        if at != RowAt::Server {
            bytes.push(b' ');
            bytes.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
            bytes.extend_from_slice(suffix);
        }
        bytes.push(b'\n');
        self.buffer.rows += 1;
        self.buffer.tables.add(self.table);
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.buffer.bytes.truncate(self.start);
        }
    }
}

/// Appends the wire form of a decimal, from its second `=` on: the shortest two's complement of at least two bytes.
///
/// # Errors
/// The scale is above 76.
fn push_decimal(bytes: &mut Lines, unscaled: i256, given: u32) -> Result<(), RowError> {
    let scale = u8::try_from(given).ok().filter(|scale| u32::from(*scale) <= MOST_SCALE);
    let Some(scale) = scale else { return Err(RowError::DecimalScale(given)) };
    let all = unscaled.to_be_bytes();
    let sign = if unscaled.is_negative() { 0xff } else { 0 };
    let is_redundant = |at: usize| all[at] == sign && (all[at + 1] & 0x80) == (sign & 0x80);
    let skipped = (0..all.len() - 2).take_while(|at| is_redundant(*at)).count();
    bytes.extend_from_slice(&[b'=', 23, scale, (all.len() - skipped) as u8]);
    bytes.extend_from_slice(&all[skipped..]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(
        version: ProtocolVersion,
        write: impl FnOnce(&mut Row<'_>) -> Result<(), RowError>,
    ) -> Result<Vec<u8>, RowError> {
        let mut buffer = RowBuffer::new(version, 127, 0);
        let mut row = buffer.row("t")?;
        write(&mut row)?;
        row.finish(RowAt::Server)?;
        Ok(buffer.into_bytes())
    }

    #[test]
    fn rows_are_there_whole_or_not_at_all() {
        let mut buffer = RowBuffer::new(ProtocolVersion::V2, 127, 0);
        let mut row = buffer.row("a b").expect("a name");
        row.symbol("s", "x y").expect("a symbol");
        row.text("t", "\"").expect("a string");
        row.finish(RowAt::Nanos(5)).expect("a row");
        let before = buffer.as_bytes().to_vec();
        assert_eq!(before, b"a\\ b,s=x\\ y t=\"\\\"\" 5n\n");

        let mut row = buffer.row("other").expect("a name");
        row.integer("n", 1).expect("a field");
        assert!(row.boolean("b.c", true).is_err());
        drop(row);
        assert!(matches!(buffer.row("t?"), Err(RowError::NameCharacter { position: 1, .. })));
        let mut row = buffer.row("other").expect("a name");
        row.integer("n", 1).expect("a field");
        assert_eq!(row.finish(RowAt::Micros(-1)), Err(RowError::NegativeAt(-1)));
        assert_eq!(buffer.row("t").expect("a name").finish(RowAt::Server), Err(RowError::Empty));
        assert_eq!((buffer.as_bytes(), buffer.rows(), buffer.has_several_tables()), (before.as_slice(), 1, false));

        let mut row = buffer.row("other").expect("a name");
        row.integer("n", -1).expect("a field");
        row.finish(RowAt::Server).expect("a row");
        assert!(buffer.has_several_tables());
        buffer.clear();
        assert_eq!((buffer.rows(), buffer.has_several_tables(), buffer.as_bytes()), (0, false, &b""[..]));
    }

    #[test]
    fn what_is_refused_leaves_the_row_as_it_was() {
        let refuse = |row: &mut Row<'_>| {
            let dims = [1; MOST_DIMS + 1];
            assert!(matches!(row.integer("b.c", 1), Err(RowError::NameCharacter { .. })));
            assert_eq!(row.array("a", &dims, [1.0]), Err(RowError::Dimensions(dims.len())));
            assert!(matches!(row.array("a", &[usize::MAX, 2], []), Err(RowError::ArraySize(_))));
            assert!(matches!(row.array("a", &[0, usize::MAX], []), Err(RowError::ArraySize(_))));
            assert_eq!(row.array("a", &[3], [1.0]), Err(RowError::Elements(3)));
            assert_eq!(row.array("a", &[2], [1.0, 2.0, 3.0]), Err(RowError::Elements(2)));
            assert_eq!(row.decimal("d", i256::ONE, 77), Err(RowError::DecimalScale(77)));
        };
        let written = line(ProtocolVersion::V3, |row| {
            assert!(matches!(row.symbol("s?", "x"), Err(RowError::NameCharacter { .. })));
            refuse(row);
            row.symbol("s", "x")?;
            refuse(row);
            row.integer("n", 1)?;
            refuse(row);
            row.integer("m", 2)
        });
        assert_eq!(written.as_deref(), Ok(&b"t,s=x n=1i,m=2i\n"[..]));
        let nothing = line(ProtocolVersion::V3, |row| {
            refuse(row);
            Ok(())
        });
        assert_eq!(nothing, Err(RowError::Empty));
    }

    #[test]
    fn decimals_have_the_shortest_form_of_two_bytes_or_more() {
        let written = |text: &str| {
            let mut bytes = Lines::default();
            push_decimal(&mut bytes, i256::from_string(text).expect("a number"), 2).expect("a decimal");
            bytes.as_slice()[3..].to_vec()
        };
        assert_eq!(written("1"), [2, 0, 1]);
        assert_eq!(written("-1"), [2, 0xff, 0xff]);
        assert_eq!(written("128"), [2, 0, 0x80]);
        assert_eq!(written("-129"), [2, 0xff, 0x7f]);
        assert_eq!(written("32767"), [2, 0x7f, 0xff]);
        assert_eq!(written("32768"), [3, 0, 0x80, 0]);
        assert_eq!(written("-32769"), [3, 0xff, 0x7f, 0xff]);
        assert_eq!(written("12345678901234567890"), [9, 0, 0xab, 0x54, 0xa9, 0x8c, 0xeb, 0x1f, 0x0a, 0xd2]);
        assert_eq!(written(&format!("1{}", "0".repeat(76)))[0], 32);
        assert_eq!(push_decimal(&mut Lines::default(), i256::ZERO, 77), Err(RowError::DecimalScale(77)));
    }

    #[test]
    fn versions_have_their_forms() {
        use ProtocolVersion::{V1, V2, V3};
        assert_eq!(line(V1, |row| row.float("a", 1.5)).as_deref(), Ok(&b"t a=1.5\n"[..]));
        assert_eq!(line(V2, |row| row.float("a", 1.5)).as_deref(), Ok(&b"t a==\x10\0\0\0\0\0\0\xf8?\n"[..]));
        assert_eq!(line(V1, |row| row.nanos("a", -5999)).as_deref(), Ok(&b"t a=-5t\n"[..]));
        assert_eq!(line(V3, |row| row.nanos("a", -5999)).as_deref(), Ok(&b"t a=-5999n\n"[..]));
        assert!(matches!(line(V1, |row| row.array("a", &[1], [1.0])), Err(RowError::Version { .. })));
        assert_eq!(line(V2, |row| row.array("a", &[], [1.0])), Err(RowError::NoDimensions));
        assert_eq!(line(V2, |row| row.array("a", &[1; 33], [1.0])), Err(RowError::Dimensions(33)));
        assert_eq!(line(V2, |row| row.array("a", &[usize::MAX, 2], [])), Err(RowError::ArraySize(usize::MAX)));
        let empty = line(V2, |row| row.array("a", &[0, 3], []));
        assert_eq!(empty.as_deref(), Ok(&b"t a==\x0e\n\x02\0\0\0\0\x03\0\0\0\n"[..]));
        assert!(matches!(line(V2, |row| row.decimal("a", i256::ONE, 0)), Err(RowError::Version { .. })));
    }

    #[test]
    fn tables_replace_the_placeholder() {
        let mut buffer = RowBuffer::new(ProtocolVersion::V2, 127, 0);
        let names: Vec<_> = ["a b", "c"].iter().map(|name| TableName::new(name, 127).expect("a name")).collect();
        buffer.append_with_tables(b"t,s=t x=1i\nt y=\"\n\" 5n\n", &[0, 1], &names);
        assert_eq!(buffer.as_bytes(), b"a\\ b,s=t x=1i\nc y=\"\n\" 5n\n");
        assert!(buffer.has_several_tables() && buffer.rows() == 2);
    }
}
