//! Table and column names: the rules of `spec/ilp-wire.md` section 4, and their escaped form.
//!
//! Lengths are counted in UTF-8 bytes: the server counts UTF-16 units, but fails on names too long for its file
//! system, which are bytes.

use crate::fmt::escape::Escape;

use super::PlanError;

/// The default limit of a name in bytes, where the server does not tell another.
pub(crate) const DEFAULT_MAX_NAME_LEN: usize = 127;

/// A name that keeps the rules, and its text on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    text: String,
    /// On the wire, where it is another text.
    escaped: Option<Vec<u8>>,
}

impl Name {
    /// Checks a table's name.
    pub(crate) fn table(name: &str, max_len: usize) -> Result<Self, PlanError> {
        let table = Self::table_for_wire(name, max_len)?;
        // Clients let these pass; the server does not.
        if name.starts_with(' ') || name.ends_with(' ') {
            return Err(PlanError::NameSpace { name: name.to_owned() });
        }
        Ok(table)
    }

    /// Checks a table's name by the rules of the official clients alone.
    pub(crate) fn table_for_wire(name: &str, max_len: usize) -> Result<Self, PlanError> {
        check(name, "table", max_len)?;
        if let Some(at) = misplaced_dot(name) {
            return Err(PlanError::NameDot { name: name.to_owned(), position: at });
        }
        Ok(Self::escape(name))
    }

    /// Checks a column's name.
    pub(crate) fn column(name: &str, max_len: usize) -> Result<Self, PlanError> {
        check(name, "column", max_len)?;
        Ok(Self::escape(name))
    }

    /// The name of a column that is never written, such as the designated timestamp's.
    pub(crate) fn unchecked(name: &str) -> Self {
        Self::escape(name)
    }

    fn escape(name: &str) -> Self {
        let escaped = Escape::Unquoted.is_needed(name.as_bytes()).then(|| {
            let mut escaped = Vec::with_capacity(2 * name.len());
            Escape::Unquoted.append(name.as_bytes(), &mut escaped);
            escaped
        });
        Self { text: name.to_owned(), escaped }
    }

    /// The name as the user wrote it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The name as it goes on the wire: at most twice as long.
    pub(crate) fn escaped(&self) -> &[u8] {
        self.escaped.as_deref().unwrap_or(self.text.as_bytes())
    }
}

fn check(name: &str, what: &'static str, max_len: usize) -> Result<(), PlanError> {
    if name.is_empty() {
        return Err(PlanError::NameEmpty { what });
    }
    // Others may hold passwords, too, but none is so easily passed in the wrong place.
    if let Some((scheme, _)) = name.split_once("::")
        && ["http", "https", "tcp", "tcps"].contains(&scheme)
    {
        return Err(PlanError::TableIsConf { scheme: scheme.to_owned() });
    }
    let refused = |c: char| {
        matches!(
            c,
            '?' | ',' | '\'' | '"' | '\\' | '/' | ':' | ')' | '(' | '+' | '*' | '%' | '~' | '\0'
                ..='\u{f}' | '\u{7f}' | '\u{feff}'
        ) || (what == "column" && matches!(c, '.' | '-'))
    };
    if let Some((position, character)) = name.char_indices().find(|(_, c)| refused(*c)) {
        return Err(PlanError::NameCharacter { what, name: name.to_owned(), character, position });
    }
    if name.len() > max_len {
        return Err(PlanError::NameTooLong { what, name: name.to_owned(), bytes: name.len(), max_len });
    }
    Ok(())
}

/// Dots may stand inside a table's name, one at a time.
fn misplaced_dot(name: &str) -> Option<usize> {
    let bytes = name.as_bytes();
    (0..bytes.len()).find(|&i| bytes[i] == b'.' && (i == 0 || i + 1 == bytes.len() || bytes[i - 1] == b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_official_client_and_server_take() {
        for name in ["a", "1st", "a b", "a=b", "x;y&z#@!<>[{|`^$", "naïve", "日本", "\u{10}", "a-b", "a.b"] {
            assert!(Name::table(name, 127).is_ok(), "{name:?}");
        }
        for name in [" a ", "1st", "a=b", "日本"] {
            assert!(Name::column(name, 127).is_ok(), "{name:?}");
        }
        assert_eq!(Name::column("a b=c", 127).map(|n| n.escaped().to_vec()).ok(), Some(b"a\\ b\\=c".to_vec()));
    }

    #[test]
    fn what_they_refuse() {
        for name in ["", "a?", "a,b", "a\\b", "a/b", "a\tb", "\u{feff}a", ".a", "a.", "a..b", " a", "a "] {
            assert!(Name::table(name, 127).is_err(), "{name:?}");
        }
        let conf = Name::table("http::addr=h;password=s3cret;", 127).map_err(|error| error.to_string());
        assert!(conf.is_err_and(|text| text.contains("configuration string") && !text.contains("s3cret")));
        for name in ["", "a.b", "a-b", "a\nb", "a\u{7f}", "(a)"] {
            assert!(Name::column(name, 127).is_err(), "{name:?}");
        }
    }

    #[test]
    fn length_is_counted_in_bytes() {
        assert!(Name::column(&"é".repeat(63), 127).is_ok());
        assert!(Name::column(&"é".repeat(64), 127).is_err());
    }
}
