//! Reading what a QuestDB server answers.
//!
//! The shapes are those of `spec/ilp-wire.md` section 12. Answers come from the network: whatever does not have
//! the expected shape is told apart here, never trusted.

use std::borrow::Cow;

use serde::Deserialize;
use simd_json::OwnedValue;
use simd_json::prelude::*;

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// The release, as in `9.3.4`.
    pub release: Option<String>,
    /// The numbers of the ILP protocol versions it takes.
    pub protocol_versions: Vec<u64>,
    /// The longest table or column name.
    pub max_name_len: Option<usize>,
}

impl ServerInfo {
    /// Whether the server has the type `TIMESTAMP_NS`: since 9.1.
    pub(crate) fn has_nanos(&self) -> bool {
        self.is_9_1()
    }

    /// Whether the server takes lines that are compressed with gzip: since 9.1.
    pub(crate) fn takes_gzip(&self) -> bool {
        self.is_9_1()
    }

    fn is_9_1(&self) -> bool {
        let Some(release) = &self.release else { return self.protocol_versions.iter().any(|version| *version > 1) };
        let mut numbers = release.split('.').map_while(|part| part.parse::<u32>().ok());
        match (numbers.next(), numbers.next()) {
            (Some(9), Some(minor)) => minor >= 1,
            (Some(major), _) => major > 9,
            // No number at all: a build of somebody's own.
            _ => true,
        }
    }

    /// A server from before `/settings`.
    pub(super) fn old() -> Self {
        Self { release: None, protocol_versions: vec![1], max_name_len: None }
    }

    /// Reads any JSON as the answer of `GET /settings`. Without a list of versions the server is from before there were
    /// several.
    pub(super) fn parse_any(mut body: Vec<u8>) -> Option<Self> {
        let answer = simd_json::to_owned_value(&mut body).ok()?;
        let Some(config) = answer.get("config") else { return Some(Self::old()) };
        let versions = config.get("line.proto.support.versions").and_then(|versions| versions.as_array());
        Some(Self::of(config, versions.map(Vec::as_slice)))
    }

    /// What `config` says; without a list of versions it is a QuestDB from before version 2 of the protocol.
    fn of(config: &OwnedValue, versions: Option<&[OwnedValue]>) -> Self {
        Self {
            release: config.get("release.version").and_then(|v| v.as_str()).map(str::to_owned),
            protocol_versions: match versions {
                None => vec![1],
                Some(versions) => versions.iter().filter_map(|version| version.as_u64()).collect(),
            },
            max_name_len: config.get("cairo.max.file.name.length").and_then(|v| v.as_usize()),
        }
    }

    /// Reads the answer of `GET /settings`, or gives `None` if no QuestDB of version 9 or newer says such a thing.
    ///
    /// Before that the settings are not under `config`, and may be none at all.
    pub(super) fn parse(mut body: Vec<u8>) -> Option<Self> {
        let answer = simd_json::to_owned_value(&mut body).ok()?;
        let Some(config) = answer.get("config").filter(|config| config.is_object()) else {
            let release = answer.get("release.version").and_then(|v| v.as_str())?;
            return Some(Self { release: Some(release.to_owned()), ..Self::old() });
        };
        let versions = config.get("line.proto.support.versions");
        // What is no list names none that we know.
        let versions = versions.map(|versions| versions.as_array().map_or(&[][..], Vec::as_slice));
        Some(Self::of(config, versions))
    }
}

/// The kind of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Json,
    Html,
    Other,
}

impl Media {
    /// Judges a `Content-Type` header. Parameters such as `; charset=utf-8` do not matter.
    pub(super) fn of(content_type: Option<&str>) -> Self {
        let media = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/json") {
            Self::Json
        } else if media.eq_ignore_ascii_case("text/html") || media.eq_ignore_ascii_case("application/xhtml+xml") {
            Self::Html
        } else {
            Self::Other
        }
    }
}

/// What a server says about a request it did not take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct ErrorAnswer {
    pub(super) code: Option<String>,
    /// `/exec` calls it `error`.
    #[serde(alias = "error")]
    pub(super) message: Option<String>,
    pub(super) line: Option<u64>,
    #[serde(rename = "errorId")]
    pub(super) error_id: Option<String>,
    /// Where in the query; only of `/exec`.
    pub(super) position: Option<u64>,
}

impl ErrorAnswer {
    /// The answer with other words.
    pub(super) fn map_text(mut self, other: impl Fn(String) -> String) -> Self {
        for text in [&mut self.code, &mut self.message, &mut self.error_id] {
            *text = text.take().map(&other);
        }
        self
    }

    /// Reads an error's body. What is not the JSON it claims to be is taken as the message itself.
    pub(super) fn parse(media: Media, body: &[u8]) -> Self {
        if media == Media::Json {
            // The parser works in place and leaves rubble behind.
            if let Ok(answer) = simd_json::serde::from_slice::<Self>(&mut body.to_vec()) {
                return answer;
            }
        }
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        Self { message: (!text.is_empty()).then(|| text.to_owned()), ..Self::default() }
    }

    /// Whether the server (9.3.4) says so of a symbol with a NUL, of which it shows no more than that it has no value.
    pub(super) fn is_of_nul(&self) -> bool {
        let message = self.message.as_deref().unwrap_or_default();
        message.contains("field value is invalid. Field: ") && message.ends_with("; value: ")
    }

    /// The message in one line that is not too long, without what every one of them says.
    pub(super) fn short_message(&self) -> Option<String> {
        const SHOWN: usize = 300;
        let message = self.message.as_deref()?;
        let message = message.strip_prefix("failed to parse line protocol:").unwrap_or(message);
        let message = message.strip_prefix("errors encountered on line(s):").unwrap_or(message);
        // The line is known as a number, and told as a row.
        let message = match message.trim_start().strip_prefix("error in line ").and_then(|rest| rest.split_once(": ")) {
            Some((line, rest)) if line.bytes().all(|byte| byte.is_ascii_digit()) => rest,
            _ => message,
        };
        let mut words = String::with_capacity(message.len().min(SHOWN));
        for word in message.split_whitespace() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(&printable(word));
            if words.chars().count() > SHOWN {
                words = words.chars().take(SHOWN).collect();
                words.push('…');
                break;
            }
        }
        Some(words)
    }
}

/// A text of the server's without the characters that would do something to a terminal.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) { text.replace(char::is_control, "\u{fffd}").into() } else { text.into() }
}

/// The column that a message of the server is about, if it names one.
pub(super) fn column_in(message: &str) -> Option<&str> {
    let column = if let Some((_, rest)) = message.split_once(", column: ") {
        // Column names may hold a ';', so look for the text that follows first.
        rest.split_once("; cast error").or_else(|| rest.split_once("; "))?.0
    } else if let Some((_, rest)) = message.split_once("invalid column name: ") {
        first_line(rest)
    } else if let Some((_, rest)) = message.split_once("decimal columns must be created manually: ") {
        first_line(rest)
    } else if let Some((_, rest)) = message.split_once("columnName=") {
        rest.split_once(']')?.0
    } else {
        message.split_once("Field: ")?.1.split_once("; value: ")?.0
    };
    (!column.is_empty()).then_some(column)
}

fn first_line(text: &str) -> &str {
    text.split('\n').next().unwrap_or_default()
}

/// The rows that `/exec` gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct QueryAnswer {
    /// The columns; empty for a statement that is not a query.
    pub(crate) columns: Vec<QueryColumn>,
    /// The rows, one value a column.
    pub(crate) rows: Vec<Vec<OwnedValue>>,
}

/// A column of a [`QueryAnswer`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct QueryColumn {
    /// The name.
    pub(crate) name: String,
    /// QuestDB's name of the type, as in `DOUBLE`.
    #[serde(rename = "type")]
    pub(crate) type_name: String,
}

#[derive(Deserialize)]
struct ExecAnswer {
    #[serde(default)]
    columns: Vec<QueryColumn>,
    #[serde(default)]
    dataset: Vec<Vec<OwnedValue>>,
    error: Option<String>,
    position: Option<u64>,
}

impl QueryAnswer {
    /// Reads the body of a 200 of `/exec`: rows, or an error that came when the status had been sent already.
    /// The outer error means that no QuestDB says such a thing.
    pub(super) fn parse(mut body: Vec<u8>) -> Result<Result<Self, ErrorAnswer>, simd_json::Error> {
        let answer: ExecAnswer = simd_json::serde::from_slice(&mut body)?;
        Ok(match answer.error {
            Some(message) => {
                Err(ErrorAnswer { message: Some(message), position: answer.position, ..ErrorAnswer::default() })
            }
            None => Ok(Self { columns: answer.columns, rows: answer.dataset }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = r#"{"config":{"release.version":"9.3.4","line.proto.support.versions":[1,2,3,"x"],
        "ilp.proto.transports":["tcp","http"],"cairo.max.file.name.length":127},"preferences.version":0}"#;
    const CAST: &str = r#"{"code":"invalid","message":"failed to parse line protocol:errors encountered on line(s):\nerror in line 2: table: t1, column: a; cast error from protocol type: STRING to column type: LONG","line":2,"errorId":"05d46391a354-850"}"#;

    fn info(json: &str) -> Option<ServerInfo> {
        ServerInfo::parse(json.as_bytes().to_vec())
    }

    #[test]
    fn settings_are_read() {
        let expected =
            ServerInfo { release: Some("9.3.4".into()), protocol_versions: vec![1, 2, 3], max_name_len: Some(127) };
        assert_eq!(info(SETTINGS), Some(expected));
        assert_eq!(info(r#"{"config":{}}"#), Some(ServerInfo::old()));
        let odd =
            r#"{"config":{"line.proto.support.versions":"1","cairo.max.file.name.length":-1,"release.version":9}}"#;
        assert_eq!(info(odd), Some(ServerInfo { protocol_versions: vec![], ..ServerInfo::old() }));
    }

    #[test]
    fn settings_of_something_else_are_none() {
        for json in
            ["", "{}", "[]", "null", "\"config\"", r#"{"config":1}"#, r#"{"config":{}"#, "<html>", "{\"config\":{}} x"]
        {
            assert_eq!(info(json), None, "{json}");
        }
    }

    #[test]
    fn content_types_may_have_parameters() {
        assert_eq!(Media::of(Some("application/json")), Media::Json);
        assert_eq!(Media::of(Some("Application/JSON; charset=utf-8")), Media::Json);
        assert_eq!(Media::of(Some("text/html;charset=utf-8")), Media::Html);
        assert_eq!(Media::of(Some("text/plain")), Media::Other);
        assert_eq!(Media::of(Some("")), Media::Other);
        assert_eq!(Media::of(None), Media::Other);
    }

    #[test]
    fn error_bodies_are_read() {
        let answer = ErrorAnswer::parse(Media::Json, CAST.as_bytes());
        assert_eq!(answer.code.as_deref(), Some("invalid"));
        assert_eq!(answer.line, Some(2));
        assert_eq!(answer.error_id.as_deref(), Some("05d46391a354-850"));
        assert!(answer.message.as_deref().is_some_and(|m| m.starts_with("failed to parse")), "{answer:?}");
        assert_eq!(
            answer.short_message().as_deref(),
            Some("table: t1, column: a; cast error from protocol type: STRING to column type: LONG")
        );
        let exec = ErrorAnswer::parse(Media::Json, br#"{"query":"x","error":"bad","position":3}"#);
        assert_eq!((exec.message.as_deref(), exec.position), (Some("bad"), Some(3)));
    }

    #[test]
    fn control_characters_are_kept_out_of_messages() {
        let answer = ErrorAnswer::parse(Media::Other, "a\x1b[31m b\r\nc\u{9b}".as_bytes());
        assert_eq!(answer.short_message().as_deref(), Some("a\u{fffd}[31m b c\u{fffd}"));
        assert_eq!(printable("ü 1"), "ü 1");
    }

    #[test]
    fn error_bodies_of_any_other_kind_are_the_message() {
        for body in ["Unauthorized\r\n", " Unauthorized"] {
            assert_eq!(ErrorAnswer::parse(Media::Other, body.as_bytes()).message.as_deref(), Some("Unauthorized"));
        }
        let cut = br#"{"code":"invalid","mess"#;
        assert_eq!(ErrorAnswer::parse(Media::Json, cut).message.as_deref().map(str::as_bytes), Some(&cut[..]));
        assert_eq!(ErrorAnswer::parse(Media::Json, b"[1]").message.as_deref(), Some("[1]"));
        assert_eq!(ErrorAnswer::parse(Media::Json, b" ").message, None);
        assert_eq!(ErrorAnswer::parse(Media::Other, b"\xff").message.as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn messages_are_shown_in_one_short_line() {
        let short = |text: &str| ErrorAnswer { message: Some(text.into()), ..ErrorAnswer::default() }.short_message();
        assert_eq!(short("a\n b\r\n\tc").as_deref(), Some("a b c"));
        assert_eq!(short("error in line 2x: b").as_deref(), Some("error in line 2x: b"));
        for long in ["é".repeat(1000), "é ".repeat(1000)] {
            assert_eq!(short(&long).map(|text| text.chars().count()), Some(301));
        }
    }

    #[test]
    fn columns_are_found_in_messages() {
        let head = "failed to parse line protocol:errors encountered on line(s):\nerror in line 1: ";
        let cases = [
            ("table: t1, column: a; cast error from protocol type: STRING to column type: LONG", Some("a")),
            ("table: t1, column: a; b; cast error from protocol type: STRING", Some("a; b")),
            ("table: t1, column: a; something else", Some("a")),
            ("table: T; invalid column name: x.y", Some("x.y")),
            ("error: decimal columns cannot be created automatically [table=t~6, columnName=d]", Some("d")),
            ("write error: t, errno: -1, error: invalid column type: 0", None),
            ("table: t1; decimal columns must be created manually: a b", Some("a b")),
            ("Could not parse entire line, field value is invalid. Field: a; value: bad", Some("a")),
            ("Field: ; value: bad", None),
            ("table: X; invalid table name", None),
            ("", None),
        ];
        for (message, column) in cases {
            assert_eq!(column_in(&format!("{head}{message}")), column, "{message}");
        }
    }

    #[test]
    fn query_answers_are_read() {
        let body = br#"{"query":"q","columns":[{"name":"a","type":"DOUBLE"},{"name":"b","type":"ARRAY","dim":1}],
            "timestamp":-1,"dataset":[[1.5,null],["x",[2]]],"count":2}"#;
        let answer = QueryAnswer::parse(body.to_vec()).expect("JSON").expect("rows");
        let names: Vec<_> = answer.columns.iter().map(|c| (c.name.as_str(), c.type_name.as_str())).collect();
        assert_eq!(names, [("a", "DOUBLE"), ("b", "ARRAY")]);
        assert_eq!(answer.rows.len(), 2);
        assert_eq!(answer.rows[0][0].as_f64(), Some(1.5));
        assert!(answer.rows[0][1].is_null());
        assert_eq!(answer.rows[1][0].as_str(), Some("x"));

        assert_eq!(QueryAnswer::parse(br#"{"ddl":"OK"}"#.to_vec()).ok(), Some(Ok(QueryAnswer::default())));
        let late = QueryAnswer::parse(br#"{"query":"q","error":"too late","position":0}"#.to_vec());
        assert_eq!(late.ok().and_then(Result::err).and_then(|e| e.message).as_deref(), Some("too late"));
        assert!(QueryAnswer::parse(b"<html>".to_vec()).is_err());
    }
}
