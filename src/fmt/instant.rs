//! Instants as people read them, for errors.

/// `value` of so many units a second since 1970, as in `2025-01-02T03:04:05.678Z`; the plain number where that is
/// beyond the years that people write.
///
/// Days to dates: `civil_from_days` of "chrono-Compatible Low-Level Date Algorithms".
pub(crate) fn text(value: i64, per_second: i64) -> String {
    let (days, rest) = if per_second == 0 {
        (value, 0)
    } else {
        (value.div_euclid(86_400 * per_second), value.rem_euclid(86_400 * per_second))
    };
    // From -9999 to 9999.
    if !(-4_371_222..=2_932_896).contains(&days) {
        return value.to_string();
    }
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let date = format!("{year:04}-{month:02}-{day:02}");
    if per_second == 0 {
        return date;
    }
    let (seconds, fraction) = (rest / per_second, rest % per_second);
    let time = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = if fraction == 0 {
        String::new()
    } else {
        format!(".{fraction:0>width$}", width = per_second.ilog10() as usize)
    };
    format!("{date}T{time}{fraction}Z")
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn instants_are_dates() {
        for (value, per_second, expected) in [
            (0, 1, "1970-01-01T00:00:00Z"),
            (-315_619_200, 1, "1960-01-01T00:00:00Z"),
            (-1, 1_000, "1969-12-31T23:59:59.999Z"),
            (1_735_787_045_000_001, 1_000_000, "2025-01-02T03:04:05.000001Z"),
            (19_782, 0, "2024-02-29"),
            (253_402_300_799, 1, "9999-12-31T23:59:59Z"),
            (253_402_300_800, 1, "253402300800"),
            (i64::MIN, 1_000_000_000, "1677-09-21T00:12:43.145224192Z"),
            (i64::MAX, 1, "9223372036854775807"),
        ] {
            assert_eq!(text(value, per_second), expected, "{value}");
        }
    }
}
