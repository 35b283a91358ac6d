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

/// The most bytes of a statement's column list once it is encoded in a URL: the server's limit for the whole request is
/// 32,224.
const MAX_COLUMNS_BYTES: usize = 24_000;

/// The statements that create a table: one, and one more for each column that has no room in it.
pub(super) fn create_table(table: &Table<'_>) -> Vec<String> {
    let mut room = MAX_COLUMNS_BYTES;
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for column in &table.columns {
        let sql = column.sql();
        let encoded: usize = sql.bytes().map(|byte| if byte.is_ascii_alphanumeric() { 1 } else { 3 }).sum();
        // Those that the statement itself refers to have to be there.
        let is_key = table.dedup_keys.contains(&column.name) || column.name == table.designated;
        if rest.is_empty() && encoded + 6 <= room || is_key {
            room = room.saturating_sub(encoded + 6);
            first.push(sql);
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
        assert_eq!(partition_unit(" day"), Some("DAY"));
        assert_eq!(partition_unit("NONE"), None);
    }
}
