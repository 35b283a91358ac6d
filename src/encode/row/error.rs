//! What is wrong with a row, in the official client's words.

use super::{MOST_DIMS, MOST_SCALE};
use crate::error::ErrorKind;
use crate::options::ProtocolVersion;

/// Why a row cannot be written. The texts are the official client's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// A name without a character.
    #[error("{what} names must have a non-zero length.")]
    NameEmpty {
        /// `Table` or `Column`.
        what: &'static str,
    },
    /// A character that names may not have.
    #[error(
        "Bad string {name:?}: {what} names can't contain a {character:?} character, which was found at byte position {position}."
    )]
    NameCharacter {
        /// `Table` or `Column`.
        what: &'static str,
        /// The name.
        name: String,
        /// The character.
        character: char,
        /// Which character of the name it is, from 0; the official client calls that a byte position.
        position: usize,
    },
    /// A byte order mark.
    #[error(
        "Bad string {name:?}: {what} names can't contain a UTF-8 BOM character, which was found at byte position {position}."
    )]
    NameBom {
        /// `Table` or `Column`.
        what: &'static str,
        /// The name.
        name: String,
        /// Which character of the name it is, from 0.
        position: usize,
    },
    /// A dot at the end of a table's name, or two in a row.
    #[error("Bad string {name:?}: Found invalid dot `.` at position {position}.")]
    NameDot {
        /// The name.
        name: String,
        /// Which character of the name it is, from 0.
        position: usize,
    },
    /// A name that is too long.
    #[error("Bad name: {name:?}: Too long (max {most} characters)")]
    NameTooLong {
        /// The name.
        name: String,
        /// The limit, in bytes of UTF-8.
        most: usize,
    },
    /// A designated timestamp before the epoch.
    #[error("Timestamp {0} is negative. It must be >= 0.")]
    NegativeAt(i64),
    /// A designated timestamp that 64 bits of nanoseconds do not hold.
    #[error("Timestamp TimestampMicros({0}) is out of range")]
    AtOutOfRange(i64),
    /// A value that the protocol version has no form for.
    #[error("Protocol version {version} does not support {what}")]
    Version {
        /// The version.
        version: ProtocolVersion,
        /// The kind of value.
        what: &'static str,
    },
    /// An array without dimensions.
    #[error("Zero-dimensional arrays are not supported")]
    NoDimensions,
    /// An array with too many dimensions.
    #[error("Array dimension mismatch: expected at most {MOST_DIMS} dimensions, but got {0}")]
    Dimensions(usize),
    /// An array that is too large.
    #[error("Array buffer size too big: {0}")]
    ArraySize(usize),
    /// An array with more or fewer elements than its dimensions say.
    #[error("Array dimensions say that there are {0} elements, and there are others")]
    Elements(usize),
    /// A decimal with too many fractional digits.
    #[error("Decimal scale {0} exceeds the maximum supported scale of {MOST_SCALE}")]
    DecimalScale(u32),
    /// A decimal with too many digits.
    #[error("Decimal mantissa too large; maximum supported size is 32 bytes.")]
    DecimalSize,
    /// A row that holds nothing.
    #[error("State error: Bad call to `at`, should have called `symbol` or `column` instead.")]
    Empty,
    /// A symbol behind a field.
    #[error("State error: Bad call to `symbol`, should have called `column` or `at` instead.")]
    LateSymbol,
}

impl RowError {
    /// What kind of problem this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NameEmpty { .. }
            | Self::NameCharacter { .. }
            | Self::NameBom { .. }
            | Self::NameDot { .. }
            | Self::NameTooLong { .. } => ErrorKind::InvalidName,
            Self::NegativeAt(_) | Self::AtOutOfRange(_) => ErrorKind::InvalidTimestamp,
            Self::Version { .. } => ErrorKind::ProtocolVersionError,
            Self::NoDimensions | Self::Dimensions(_) | Self::ArraySize(_) | Self::Elements(_) => ErrorKind::ArrayError,
            Self::DecimalScale(_) | Self::DecimalSize => ErrorKind::BadDataFrame,
            Self::Empty | Self::LateSymbol => ErrorKind::InvalidApiCall,
        }
    }
}
