//! How the values of one column land in one QuestDB type: on which wire form, by which cast, within which limits.
//!
//! One table for all pairs, so that a new column type or a new Arrow type has one place to go to. What the server takes
//! is in `spec/ilp-wire.md` section 10; where it would take a value and store another, a limit refuses that value. By
//! type only those pairs are refused for which no value could be right, or for which it is open what it would mean.

use arrow_schema::DataType;

use super::column_type::{ColumnType, MAX_DECIMAL};
use super::kind::{CellsKind, InstantUnit, Kind};
use super::{PlanError, Wire, WireUnit};
use crate::options::ProtocolVersion;

/// How values are brought into the form they are written in. Dictionaries of anything but text, and runs, are unpacked
/// in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cast {
    /// They are in it.
    Keep,
    /// Whole numbers of 64 bits: of floats and decimals that are whole, and times and durations in nanoseconds.
    Integer,
    /// False and true, of 0 and 1.
    Boolean,
    /// Of decimals that a float tells apart from their neighbours.
    Float,
    /// As people write them; floats that are NaN maybe as nulls (`nan="omit"`).
    Text { omits_nan: bool },
    /// Hexadecimal, `0x...`.
    Hex,
    /// Decimals of negative scale as whole numbers.
    WholeDecimal,
    /// Lists of `Float64` without nulls inside, all of 64-bit offsets.
    Array,
}

const AS_TEXT: Cast = Cast::Text { omits_nan: false };

/// What values of the cast column have to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The column's type has no NULL.
    NotNull,
    /// Whole numbers of this range, ends included.
    Integer { min: i64, max: i64 },
    /// Whole numbers that a float of so many significant bits holds.
    ExactFloat { bits: u32 },
    /// Floats that a 32-bit float has room for.
    Single,
    /// Instants that are a whole 64-bit number of a unit, so many of which make a second.
    Instant { per_second: i64, unit: &'static str },
    /// Instants that are whole microseconds, since version 1 of the protocol has nothing finer.
    WireMicros,
    /// Numbers that a decimal of this precision and scale holds exactly.
    Decimal { precision: u8, scale: u8 },
    /// Text of this form.
    Text(TextForm),
}

/// Forms of text that the server turns into other types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextForm {
    Char,
    Uuid,
    Ipv4,
    Long256,
    /// Of so many bits.
    Geohash(u8),
    Decimal {
        precision: u8,
        scale: u8,
    },
}

/// How a column lands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Landing {
    pub(crate) wire: Wire,
    /// May be written as a symbol.
    pub(crate) symbol: bool,
    pub(crate) cast: Cast,
    pub(crate) limits: Vec<Limit>,
    pub(crate) note: Option<String>,
}

impl Landing {
    fn new(wire: Wire, cast: Cast) -> Self {
        Self { wire, symbol: false, cast, limits: Vec::new(), note: None }
    }

    fn within(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    fn noted(mut self, note: &str) -> Self {
        self.note = Some(note.to_owned());
        self
    }
}

/// The type that ILP itself gives a column, or the nearest where it gives none.
///
/// `nanos`: whether the server has `TIMESTAMP_NS` and the protocol version asks for it.
pub(crate) fn natural_type(kind: Kind, symbol: bool, nanos: bool) -> ColumnType {
    match kind {
        Kind::Null => ColumnType::Varchar,
        Kind::Boolean => ColumnType::Boolean,
        Kind::Integer { .. } | Kind::Time | Kind::Duration => ColumnType::Long,
        Kind::Float { .. } => ColumnType::Double,
        Kind::Text { .. } if symbol => ColumnType::Symbol,
        Kind::Text { .. } => ColumnType::Varchar,
        Kind::Instant(InstantUnit::Nanosecond) if nanos => ColumnType::TimestampNs,
        Kind::Instant(_) => ColumnType::Timestamp,
        Kind::Decimal { precision, scale } => {
            let digits = if scale < 0 { precision.saturating_add(scale.unsigned_abs()) } else { precision };
            let scale = u8::try_from(scale).unwrap_or(0).min(MAX_DECIMAL);
            ColumnType::Decimal { precision: digits.max(scale).clamp(1, MAX_DECIMAL), scale }
        }
        Kind::Cells(CellsKind::Decimals) => ColumnType::Decimal { precision: MAX_DECIMAL, scale: MAX_DECIMAL },
        Kind::Cells(CellsKind::Arrays) => ColumnType::Array(1),
        Kind::Array { dims } => ColumnType::Array(dims),
        Kind::Uuid => ColumnType::Uuid,
    }
}

/// The smallest type that holds all values of the column's Arrow type (`TableSpec::narrow`), but for the least `Int32`,
/// which is NULL in an `INT` and refused. `nullable`: types without a NULL will not do.
pub(crate) fn narrow_type(kind: Kind, nullable: bool) -> Option<ColumnType> {
    Some(match kind {
        Kind::Integer { signed: true, bits: 8 } if !nullable => ColumnType::Byte,
        Kind::Integer { signed: true, bits: 16 } | Kind::Integer { signed: false, bits: 8 } if !nullable => {
            ColumnType::Short
        }
        Kind::Integer { bits: 8 | 16, .. } | Kind::Integer { signed: true, bits: 32 } => ColumnType::Int,
        Kind::Float { bits: 16 | 32 } => ColumnType::Float,
        Kind::Instant(InstantUnit::Day) => ColumnType::Date,
        _ => return None,
    })
}

/// How a column of this kind lands in a column of this type. `certain`: that is or will be its type; otherwise the
/// server decides, and only what the wire cannot carry is refused.
///
/// # Errors
/// If none of its values could land there.
pub(crate) fn land(
    kind: Kind,
    data_type: &DataType,
    target: &ColumnType,
    version: ProtocolVersion,
    certain: bool,
) -> Result<Landing, PlanError> {
    use ColumnType as T;
    let to = |wire, cast| Ok(Landing::new(wire, cast));
    let integers = |cast| Landing::new(Wire::Integer, cast);
    let refused = |advice: &str| Err(advice.to_owned());
    let whole = Limit::Integer { min: if certain { i64::MIN + 1 } else { i64::MIN }, max: i64::MAX };

    let landing = match (kind, target) {
        (_, T::Binary) => refused("ILP carries no binary values; write hex or base64 text into a VARCHAR column"),
        (_, T::Other(_)) => refused("this version does not know the column's type; write into another column"),

        // Numbers.
        (
            Kind::Integer { signed, bits },
            T::Byte | T::Short | T::Int | T::Long | T::Date | T::Timestamp | T::TimestampNs,
        ) => {
            let (min, max) = range_of(target);
            let limit = if certain { Limit::Integer { min, max } } else { whole };
            let landing = integers(Cast::Keep);
            Ok(if needs_range(signed, bits, limit) { landing.within(limit) } else { landing })
        }
        (Kind::Time | Kind::Duration, T::Byte | T::Short | T::Int | T::Long) => {
            let (min, max) = range_of(target);
            Ok(integers(Cast::Integer).within(if certain { Limit::Integer { min, max } } else { whole }))
        }
        (Kind::Float { .. } | Kind::Decimal { .. }, T::Byte | T::Short | T::Int | T::Long) => {
            let (min, max) = range_of(target);
            Ok(integers(Cast::Integer).within(Limit::Integer { min, max }).noted("whole numbers only"))
        }
        (Kind::Boolean, T::Byte | T::Short | T::Int | T::Long | T::Float | T::Double) => {
            Ok(Landing::new(Wire::Boolean, Cast::Keep).noted("as 0 and 1"))
        }
        (Kind::Integer { .. }, T::Boolean) => Ok(Landing::new(Wire::Boolean, Cast::Boolean).noted("of 0 and 1")),
        (Kind::Boolean, T::Boolean) => to(Wire::Boolean, Cast::Keep),
        (Kind::Integer { bits, .. }, T::Float | T::Double) => {
            let room = if *target == T::Float { 24 } else { 53 };
            let landing = integers(Cast::Keep);
            let landing = if bits == 64 { landing.within(whole) } else { landing };
            Ok(if u32::from(bits) > room { landing.within(Limit::ExactFloat { bits: room }) } else { landing })
        }
        (Kind::Float { bits: 64 }, T::Float) => {
            Ok(Landing::new(Wire::Float, Cast::Keep).within(Limit::Single).noted("rounded to 32 bits"))
        }
        (Kind::Float { .. }, T::Float | T::Double) => to(Wire::Float, Cast::Keep),
        (Kind::Decimal { .. }, T::Double) => to(Wire::Float, Cast::Float),
        (Kind::Decimal { .. }, T::Float) => {
            Ok(Landing::new(Wire::Float, Cast::Float).within(Limit::Single).noted("rounded to 32 bits"))
        }
        (Kind::Integer { .. }, T::Long256) => to(Wire::String, Cast::Hex),

        // Decimals.
        (Kind::Decimal { scale, .. }, T::Decimal { precision, scale: to_scale }) if version >= ProtocolVersion::V3 => {
            let cast = if scale < 0 { Cast::WholeDecimal } else { Cast::Keep };
            let wire = Wire::Decimal { scale: u8::try_from(scale).unwrap_or(0) };
            let landing = Landing::new(wire, cast);
            let always = kind == Kind::Decimal { precision: *precision, scale: *to_scale as i8 };
            Ok(if always {
                landing
            } else {
                landing.within(Limit::Decimal { precision: *precision, scale: *to_scale })
            })
        }
        (Kind::Cells(CellsKind::Decimals), T::Decimal { .. }) if version >= ProtocolVersion::V3 => {
            to(Wire::Cells, Cast::Keep)
        }
        (Kind::Decimal { .. } | Kind::Cells(CellsKind::Decimals), T::Decimal { .. }) => {
            return Err(PlanError::NeedsVersion {
                what: "decimals",
                version: 3,
                since: "9.2",
                spoken: version.number(),
                cure: "cast it to Float64, or to a string to keep every digit",
            });
        }
        (Kind::Integer { .. }, T::Decimal { precision, scale }) => {
            Ok(integers(Cast::Keep).within(whole).within(Limit::Decimal { precision: *precision, scale: *scale }))
        }
        (Kind::Float { .. }, T::Decimal { precision, scale }) => {
            Ok(Landing::new(Wire::Float, Cast::Keep).within(Limit::Decimal { precision: *precision, scale: *scale }))
        }
        (Kind::Text { .. }, T::Decimal { precision, scale }) => Ok(Landing::new(Wire::String, Cast::Keep)
            .within(Limit::Text(TextForm::Decimal { precision: *precision, scale: *scale }))),

        // Text.
        (Kind::Text { .. }, T::Symbol | T::Varchar | T::String) => {
            Ok(Landing { symbol: true, ..Landing::new(Wire::String, Cast::Keep) })
        }
        (
            Kind::Boolean | Kind::Integer { .. } | Kind::Float { .. } | Kind::Decimal { .. },
            T::Symbol | T::Varchar | T::String,
        ) => Ok(Landing::new(Wire::String, AS_TEXT).noted("as text")),
        (Kind::Uuid, T::Uuid) => {
            let landing = Landing::new(Wire::String, AS_TEXT);
            // Sure to be one, but one is NULL.
            Ok(if certain { landing.within(Limit::Text(TextForm::Uuid)) } else { landing })
        }
        (Kind::Uuid, T::Symbol | T::Varchar | T::String) => to(Wire::String, AS_TEXT),
        (Kind::Text { .. }, T::Char | T::Uuid | T::Ipv4 | T::Long256 | T::Geohash(_)) => {
            let form = match target {
                T::Char => TextForm::Char,
                T::Uuid => TextForm::Uuid,
                T::Ipv4 => TextForm::Ipv4,
                T::Geohash(bits) => TextForm::Geohash(*bits),
                _ => TextForm::Long256,
            };
            Ok(Landing::new(Wire::String, Cast::Keep).within(Limit::Text(form)))
        }

        // Instants.
        (Kind::Instant(unit), T::Timestamp | T::TimestampNs | T::Date) => Ok(instants(unit, target, version, certain)),

        (Kind::Array { .. } | Kind::Cells(CellsKind::Arrays), T::Array(_)) if version == ProtocolVersion::V1 => {
            return Err(PlanError::NeedsVersion {
                what: "arrays",
                version: 2,
                since: "9.0",
                spoken: version.number(),
                cure: "explode it into scalar columns",
            });
        }
        (Kind::Cells(CellsKind::Arrays), T::Array(_)) => to(Wire::Cells, Cast::Keep),
        (Kind::Array { dims }, T::Array(have)) if dims == *have => to(Wire::Array { dims }, Cast::Array),
        (Kind::Array { dims }, T::Array(have)) => {
            Err(format!("the column has {have} dimensions and the frame {dims}; reshape it"))
        }
        _ => Err(format!("such values have no form that a {target} column takes; {}", cure(kind, target))),
    };
    let landing = landing.map_err(|why| PlanError::Conflict {
        column_type: target.to_string(),
        data_type: data_type.to_string(),
        why,
        ddl: None,
    })?;
    Ok(if certain && target.has_no_null() && *target != T::Boolean { landing.within(Limit::NotNull) } else { landing })
}

/// The least and the greatest number of a type; NULL's own number is not one.
fn range_of(target: &ColumnType) -> (i64, i64) {
    match target {
        ColumnType::Byte => (i64::from(i8::MIN), i64::from(i8::MAX)),
        ColumnType::Short => (i64::from(i16::MIN), i64::from(i16::MAX)),
        ColumnType::Int => (i64::from(i32::MIN) + 1, i64::from(i32::MAX)),
        _ => (i64::MIN + 1, i64::MAX),
    }
}

/// Whether integers of this type can be outside of a range.
fn needs_range(signed: bool, bits: u8, limit: Limit) -> bool {
    let Limit::Integer { min, max } = limit else { return true };
    let (least, most) =
        if signed { (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1) } else { (0, (1_i128 << bits) - 1) };
    least < i128::from(min) || most > i128::from(max)
}

/// Instants go out in the finer of their own unit and the column's, so that nothing depends on the server's rounding.
fn instants(unit: InstantUnit, target: &ColumnType, version: ProtocolVersion, certain: bool) -> Landing {
    let is_nanos = unit == InstantUnit::Nanosecond && version > ProtocolVersion::V1;
    let wire = if is_nanos && *target != ColumnType::Timestamp { WireUnit::Nanos } else { WireUnit::Micros };
    let wire = if !certain && is_nanos { WireUnit::Nanos } else { wire };
    let landing = Landing::new(Wire::Timestamp(wire), Cast::Keep);
    if certain {
        return landing.within(match target {
            ColumnType::Date => Limit::Instant { per_second: 1_000, unit: "milliseconds" },
            ColumnType::TimestampNs if version > ProtocolVersion::V1 => {
                Limit::Instant { per_second: 1_000_000_000, unit: "nanoseconds" }
            }
            ColumnType::TimestampNs => Limit::WireMicros,
            _ => Limit::Instant { per_second: 1_000_000, unit: "microseconds" },
        });
    }
    // What the wire has no room for.
    match unit {
        InstantUnit::Day | InstantUnit::Second | InstantUnit::Millisecond => {
            landing.within(Limit::Instant { per_second: 1_000_000, unit: "microseconds" })
        }
        InstantUnit::Nanosecond if version == ProtocolVersion::V1 => landing.within(Limit::WireMicros),
        InstantUnit::Microsecond | InstantUnit::Nanosecond => landing,
    }
}

/// What to do where no value of a column could land.
fn cure(kind: Kind, target: &ColumnType) -> &'static str {
    use ColumnType as T;
    match (kind, target) {
        (Kind::Text { .. }, T::Byte | T::Short | T::Int | T::Long) => "cast it to Int64",
        (Kind::Text { .. }, T::Float | T::Double) => "cast it to Float64",
        (Kind::Text { .. }, T::Boolean) => "cast it to Boolean",
        (Kind::Text { .. }, T::Timestamp | T::TimestampNs | T::Date) => "parse it into timestamps",
        (Kind::Time | Kind::Duration, _) => "cast it to Int64 in the unit that is meant",
        (Kind::Instant(_), T::Symbol | T::Varchar | T::String) => "format it as text in the form that is meant",
        (Kind::Instant(_), T::Byte | T::Short | T::Int | T::Long) => "cast it to Int64 in the unit that is meant",
        (_, T::Array(_)) => "make it lists of numbers",
        _ => "cast it",
    }
}
