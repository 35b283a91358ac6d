//! QuestDB's column types: read from what a server or a user says, written as SQL.

use std::fmt;
use std::str::FromStr;

/// The most digits of a `DECIMAL`, and the most of them behind the point.
pub(crate) const MAX_DECIMAL: u8 = 76;

/// The most dimensions of an array.
pub(crate) const MAX_DIMS: usize = 32;

/// A column's type in QuestDB.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ColumnType {
    Boolean,
    Byte,
    Short,
    Char,
    Int,
    Long,
    Date,
    Timestamp,
    TimestampNs,
    Float,
    Double,
    String,
    Varchar,
    Symbol,
    Long256,
    Uuid,
    Ipv4,
    Binary,
    /// Of so many bits.
    Geohash(u8),
    Decimal {
        precision: u8,
        scale: u8,
    },
    /// `DOUBLE[]` of so many dimensions.
    Array(u8),
    /// One this version does not know, as the server spells it.
    Other(String),
}

/// Types without arguments.
const PLAIN: [(&str, ColumnType); 18] = [
    ("BOOLEAN", ColumnType::Boolean),
    ("BYTE", ColumnType::Byte),
    ("SHORT", ColumnType::Short),
    ("CHAR", ColumnType::Char),
    ("INT", ColumnType::Int),
    ("LONG", ColumnType::Long),
    ("DATE", ColumnType::Date),
    ("TIMESTAMP", ColumnType::Timestamp),
    ("TIMESTAMP_NS", ColumnType::TimestampNs),
    ("FLOAT", ColumnType::Float),
    ("DOUBLE", ColumnType::Double),
    ("STRING", ColumnType::String),
    ("VARCHAR", ColumnType::Varchar),
    ("SYMBOL", ColumnType::Symbol),
    ("LONG256", ColumnType::Long256),
    ("UUID", ColumnType::Uuid),
    ("IPV4", ColumnType::Ipv4),
    ("BINARY", ColumnType::Binary),
];

impl ColumnType {
    /// The type a server names; one it does not know is kept as it is.
    pub(crate) fn of_server(text: &str) -> Self {
        text.parse().unwrap_or_else(|()| Self::Other(text.to_owned()))
    }

    /// Whether `ALTER COLUMN ... TYPE` makes the other type of this one and keeps every value (QuestDB 9.3.4). More
    /// conversions run than these, and turn what does not fit into NULL or another number.
    pub(crate) fn can_become(&self, other: &Self) -> bool {
        let is_whole = matches!(self, Self::Byte | Self::Short | Self::Int | Self::Long);
        let is_instant = matches!(self, Self::Date | Self::Timestamp | Self::TimestampNs);
        let is_text = matches!(self, Self::String | Self::Varchar | Self::Symbol);
        self != other
            && match other {
                Self::String | Self::Varchar | Self::Symbol => {
                    is_whole
                        || is_instant
                        || is_text
                        || matches!(self, Self::Boolean | Self::Float | Self::Double)
                        || matches!(self, Self::Char | Self::Uuid | Self::Ipv4)
                }
                Self::Long => is_whole || is_instant || *self == Self::Boolean,
                Self::Double => matches!(self, Self::Boolean | Self::Byte | Self::Short | Self::Int | Self::Float),
                Self::Timestamp => is_whole || *self == Self::Date,
                Self::TimestampNs => is_whole || *self == Self::Date,
                _ => false,
            }
    }

    /// Whether it is a number with a NULL of its own.
    pub(crate) fn is_number_with_null(&self) -> bool {
        matches!(self, Self::Int | Self::Long | Self::Float | Self::Double)
    }

    /// Whether a missing value reads back as 0 or false and not as NULL.
    pub(crate) fn has_no_null(&self) -> bool {
        matches!(self, Self::Boolean | Self::Byte | Self::Short)
    }
}

impl FromStr for ColumnType {
    type Err = ();

    /// Reads a type as SQL spells it, in any case, with spaces where SQL allows them.
    fn from_str(text: &str) -> Result<Self, ()> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
        if let Some((_, plain)) = PLAIN.iter().find(|(name, _)| *name == text) {
            return Ok(plain.clone());
        }
        if text == "DECIMAL" {
            return Ok(Self::Decimal { precision: 18, scale: 3 });
        }
        if let Some(rest) = text.strip_prefix("DOUBLE") {
            let dims = rest.len() / 2;
            let is_array = rest == "[]".repeat(dims) && (1..=MAX_DIMS).contains(&dims);
            return if is_array { Ok(Self::Array(dims as u8)) } else { Err(()) };
        }
        let (name, arguments) = text.strip_suffix(')').and_then(|text| text.split_once('(')).ok_or(())?;
        match name {
            "GEOHASH" => geohash_bits(arguments).map(Self::Geohash).ok_or(()),
            "DECIMAL" => {
                let (precision, scale) = arguments.split_once(',').unwrap_or((arguments, "0"));
                let (precision, scale) = (precision.parse().map_err(|_| ())?, scale.parse().map_err(|_| ())?);
                let fits = (1..=MAX_DECIMAL).contains(&precision) && scale <= precision;
                if fits { Ok(Self::Decimal { precision, scale }) } else { Err(()) }
            }
            _ => Err(()),
        }
    }
}

/// The bits of `5c` (characters of five bits) or `7b` (bits).
fn geohash_bits(text: &str) -> Option<u8> {
    let bits = match text.strip_suffix('C') {
        Some(characters) => characters.parse::<u8>().ok()?.checked_mul(5)?,
        None => text.strip_suffix('B')?.parse().ok()?,
    };
    (1..=60).contains(&bits).then_some(bits)
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Geohash(bits) if bits % 5 == 0 => write!(f, "GEOHASH({}c)", bits / 5),
            Self::Geohash(bits) => write!(f, "GEOHASH({bits}b)"),
            Self::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Self::Array(dims) => write!(f, "DOUBLE{}", "[]".repeat(usize::from(*dims))),
            Self::Other(text) => f.write_str(text),
            plain => {
                let name = PLAIN.iter().find(|(_, known)| known == plain).map_or("", |(name, _)| name);
                f.write_str(name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let with_arguments = [
            ColumnType::Geohash(25),
            ColumnType::Geohash(7),
            ColumnType::Decimal { precision: 18, scale: 3 },
            ColumnType::Array(1),
            ColumnType::Array(32),
        ];
        for column_type in PLAIN.into_iter().map(|(_, plain)| plain).chain(with_arguments) {
            assert_eq!(column_type.to_string().parse(), Ok(column_type));
        }
    }

    #[test]
    fn spellings() {
        assert_eq!("geohash( 5c )".parse(), Ok(ColumnType::Geohash(25)));
        assert_eq!("decimal(10)".parse(), Ok(ColumnType::Decimal { precision: 10, scale: 0 }));
        assert_eq!("double [] []".parse(), Ok(ColumnType::Array(2)));
        assert_eq!(ColumnType::of_server("INTERVAL"), ColumnType::Other("INTERVAL".to_owned()));
        let wrong =
            ["", "DOUBLE[", "DOUBLE[]x", "GEOHASH(61b)", "GEOHASH(0c)", "DECIMAL(77,1)", "DECIMAL(3,4)", "LONG; DROP"];
        for text in wrong {
            assert!(text.parse::<ColumnType>().is_err(), "{text:?}");
        }
    }
}
