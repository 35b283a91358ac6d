//! What a value can do wrong.

use crate::error::ErrorKind;

/// A value that cannot be sent. Every text ends with the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The designated timestamp is null.
    #[error("the designated timestamp is null{}; fill or drop such rows, or let the server's clock decide with null_at=\"server\"", more(.rows))]
    NullAt {
        /// How many rows are so.
        rows: u64,
    },
    /// The designated timestamp lies before 1970.
    #[error("the designated timestamp lies before 1970-01-01, which QuestDB does not store{}; drop or shift such rows, or write the column as a field and choose another `at`", more(.rows))]
    AtBeforeEpoch {
        /// How many rows are so.
        rows: u64,
    },
    /// The designated timestamp is beyond what the server or the protocol version can take.
    #[error("the designated timestamp is too large: the most is {max}{}; drop or correct such rows{cure}", more(.rows))]
    AtTooLarge {
        /// How many rows are so.
        rows: u64,
        /// The largest, in words.
        max: &'static str,
        /// A further cure.
        cure: &'static str,
    },
    /// An unsigned integer above the largest `LONG`.
    #[error("the value is above 9223372036854775807, the largest LONG{}; cast the column to a string or to Float64", more(.rows))]
    IntegerTooLarge {
        /// How many rows are so.
        rows: u64,
    },
    /// A date or a timestamp that overflows the unit it is sent in.
    #[error("the timestamp does not fit 64-bit {unit}{}; drop or correct such rows", more(.rows))]
    TimestampTooLarge {
        /// The unit of the table's column, or of the wire.
        unit: &'static str,
        /// How many rows are so.
        rows: u64,
    },
    /// A null in a boolean column.
    #[error("the boolean is null, and QuestDB has no boolean null{}; choose null_bool=\"false\", null_bool=\"omit\" (the server stores false), or cast the column to a string", more(.rows))]
    NullBoolean {
        /// How many rows are so.
        rows: u64,
    },
    /// A row in which every symbol and field is null.
    #[error("every symbol and field of the row is null, and ILP has no form for that{}; drop such rows, or skip them with empty_rows=\"skip\"", more(.rows))]
    EmptyRow {
        /// How many rows are so.
        rows: u64,
    },
    /// A value that its column cannot hold as it is.
    #[error("{why}{}; {cure}", more(.rows))]
    Misfit {
        /// What is wrong with it.
        why: String,
        /// What to do.
        cure: String,
        /// How many rows are so.
        rows: u64,
    },
    /// A row whose line is longer than `max_buf_size`.
    #[error(
        "the row's line may take {bytes} bytes, more than max_buf_size={max_buf_size}; shorten its strings, or raise max_buf_size in the configuration string"
    )]
    RowTooLarge {
        /// The line's length.
        bytes: usize,
        /// The limit.
        max_buf_size: usize,
    },
    /// The frame does not fit into the one request that it shall be.
    #[error(
        "the frame's lines take {bytes} bytes or more, and one request holds max_buf_size={max_buf_size}; nothing was sent: leave out atomic=True, write fewer rows at a time, or raise max_buf_size in the configuration string"
    )]
    FrameTooLarge {
        /// The length of the lines so far.
        bytes: usize,
        /// The limit.
        max_buf_size: usize,
    },
}

fn more(rows: &u64) -> String {
    match rows {
        0 | 1 => String::new(),
        2 => " (so is one more row)".to_owned(),
        rows => format!(" (so are {} more rows)", rows - 1),
    }
}

impl ValueError {
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::NullAt { .. } | Self::AtBeforeEpoch { .. } | Self::AtTooLarge { .. } => ErrorKind::InvalidTimestamp,
            _ => ErrorKind::BadDataFrame,
        }
    }

    /// Whether both say the same of different rows.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Misfit { why, .. }, Self::Misfit { why: other, .. }) => why == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    pub(super) fn with_rows(self, count: u64) -> Self {
        match self {
            Self::NullAt { .. } => Self::NullAt { rows: count },
            Self::AtBeforeEpoch { .. } => Self::AtBeforeEpoch { rows: count },
            Self::AtTooLarge { max, cure, .. } => Self::AtTooLarge { rows: count, max, cure },
            Self::IntegerTooLarge { .. } => Self::IntegerTooLarge { rows: count },
            Self::TimestampTooLarge { unit, .. } => Self::TimestampTooLarge { unit, rows: count },
            Self::NullBoolean { .. } => Self::NullBoolean { rows: count },
            Self::EmptyRow { .. } => Self::EmptyRow { rows: count },
            Self::Misfit { why, cure, .. } => Self::Misfit { why, cure, rows: count },
            other @ (Self::RowTooLarge { .. } | Self::FrameTooLarge { .. }) => other,
        }
    }
}
