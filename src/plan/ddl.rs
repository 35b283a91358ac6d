//! SQL that makes a table what a plan expects. Names have passed the rules of `plan::name`, which know no quote and no
//! backslash, so that quoting them is enough.

use super::column_type::ColumnType;

/// A column as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) column_type: ColumnType,
    /// Of symbols.
    pub(super) capacity: Option<u32>,
    pub(super) index: bool,
}

impl Declared {
    pub(super) fn new(name: &str, column_type: ColumnType) -> Self {
        Self { name: name.to_owned(), column_type, capacity: None, index: false }
    }

    fn sql(&self) -> String {
        let mut sql = format!("{} {}", quoted(&self.name), self.column_type);
        if let Some(capacity) = self.capacity {
            sql.push_str(&format!(" CAPACITY {capacity}"));
        }
        if self.index {
            sql.push_str(" INDEX");
        }
        sql
    }
}

/// A table as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table<'a> {
    pub(super) name: &'a str,
    pub(super) columns: Vec<Declared>,
    pub(super) designated: &'a str,
    pub(super) partition_by: &'a str,
    pub(super) ttl: Option<String>,
    /// Without the designated timestamp.
    pub(super) dedup_keys: Vec<String>,
    pub(super) dedup: bool,
}

/// The most bytes of a statement's column list once it is encoded in a URL: the server's limit for the request line is
/// 32,224, and the rest of the statement has the table's name, and those of keys.
const MAX_COLUMNS_BYTES: usize = 30_000;

/// The bytes of a text in a URL's query.
fn encoded(sql: &str) -> usize {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_' | b'-' | b'.' | b'*');
    sql.bytes().map(|byte| if is_plain(byte) { 1 } else { 3 }).sum()
}

/// The statements that create a table: one, and one more for each column that has no room in it.
pub(super) fn create_table(table: &Table<'_>) -> Vec<String> {
    // Those that the statement itself refers to have to be there.
    let is_key = |column: &Declared| table.dedup_keys.contains(&column.name) || column.name == table.designated;
    let needed = |column: &Declared| encoded(&column.sql()) + 4;
    let keys: usize = table.dedup_keys.iter().map(|key| encoded(&quoted(key)) + 4).sum();
    let declared: usize = table.columns.iter().filter(|column| is_key(column)).map(needed).sum();
    let names = encoded(&quoted(table.name)) + 2 * encoded(&quoted(table.designated));
    let mut room = MAX_COLUMNS_BYTES.saturating_sub(keys + declared + names);
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for column in &table.columns {
        if is_key(column) {
            first.push(column.sql());
        } else if rest.is_empty() && needed(column) <= room {
            room -= needed(column);
            first.push(column.sql());
        } else {
            rest.push(add_column(table.name, column));
        }
    }
    let mut sql = format!(
        "CREATE TABLE IF NOT EXISTS {} ({}) TIMESTAMP({}) PARTITION BY {}",
        quoted(table.name),
        first.join(", "),
        quoted(table.designated),
        table.partition_by
    );
    if let Some(ttl) = &table.ttl {
        sql.push_str(&format!(" TTL {ttl}"));
    }
    sql.push_str(" WAL");
    if table.dedup {
        let keys: Vec<_> =
            std::iter::once(table.designated).chain(table.dedup_keys.iter().map(String::as_str)).map(quoted).collect();
        sql.push_str(&format!(" DEDUP UPSERT KEYS({})", keys.join(", ")));
    }
    std::iter::once(sql).chain(rest).collect()
}

pub(super) fn add_column(table: &str, column: &Declared) -> String {
    format!("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {}", quoted(table), column.sql())
}

pub(super) fn alter_type(table: &str, column: &str, column_type: &ColumnType) -> String {
    format!("ALTER TABLE {} ALTER COLUMN {} TYPE {column_type}", quoted(table), quoted(column))
}

/// A name as SQL takes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The span of a partition in the server's spelling.
pub(super) fn partition_unit(text: &str) -> Option<&'static str> {
    ["HOUR", "DAY", "WEEK", "MONTH", "YEAR"].into_iter().find(|unit| text.trim().eq_ignore_ascii_case(unit))
}

/// A time to live in the server's spelling: `30 DAYS`, `30d`.
pub(super) fn ttl(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u32 = text[..digits].parse().ok().filter(|number| *number > 0)?;
    let unit = text[digits..].trim();
    // The short forms tell months from minutes by case.
    let unit = match unit {
        "h" | "H" => "HOUR",
        "d" | "D" => "DAY",
        "w" | "W" => "WEEK",
        "M" => "MONTH",
        "y" | "Y" => "YEAR",
        long => {
            let long = long.strip_suffix(['s', 'S']).unwrap_or(long);
            partition_unit(long)?
        }
    };
    Some(format!("{number} {unit}{}", if number == 1 { "" } else { "S" }))
}

/// Whether two times to live, in the server's spelling, are the same: it makes a year of twelve months, and a day of
/// 24 hours.
pub(super) fn is_same_span(one: &str, other: &str) -> bool {
    let span = |text: &str| {
        let (number, unit) = text.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        Some(match unit.trim_end_matches('S') {
            "HOUR" => (false, number),
            "DAY" => (false, 24 * number),
            "WEEK" => (false, 7 * 24 * number),
            "MONTH" => (true, number),
            "YEAR" => (true, 12 * number),
            _ => return None,
        })
    };
    span(one) == span(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, sql) in
            [("30 DAYS", "30 DAYS"), ("1 day", "1 DAY"), ("12h", "12 HOURS"), ("3M", "3 MONTHS"), ("2 w", "2 WEEKS")]
        {
            assert_eq!(ttl(text).as_deref(), Some(sql), "{text}");
        }
        for text in ["", "d", "0d", "-1d", "3m", "1 minute", "5 d; DROP TABLE t", "99999999999d"] {
            assert_eq!(ttl(text), None, "{text}");
        }
        for (one, other, same) in [
            ("12 MONTHS", "1 YEAR", true),
            ("48 HOURS", "2 DAYS", true),
            ("2 WEEKS", "14 DAYS", true),
            ("1 MONTH", "30 DAYS", false),
            ("1 DAY", "2 DAYS", false),
        ] {
            assert_eq!(is_same_span(one, other), same, "{one}, {other}");
        }
        assert_eq!(partition_unit(" day"), Some("DAY"));
        assert_eq!(partition_unit("NONE"), None);
    }
}
