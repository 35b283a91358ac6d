//! The keys of a configuration string: which there are, which we use, and how their values are read.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use questdb_confstr::{ErrorKind, ParsingError, parse_conf_str};

use super::ConfigError;

/// The keys of ILP transports and our own, all of which are read.
const KEYS: &[&str] = &[
    "addr",
    "username",
    "password",
    "token",
    "token_x",
    "token_y",
    "auth_timeout",
    "bind_interface",
    "tls_verify",
    "tls_ca",
    "tls_roots",
    "tls_roots_password",
    "auto_flush",
    "auto_flush_rows",
    "auto_flush_bytes",
    "auto_flush_interval",
    "protocol_version",
    "init_buf_size",
    "max_buf_size",
    "max_name_len",
    "retry_timeout",
    "retry_max_backoff_millis",
    "request_timeout",
    "request_min_throughput",
    "connections",
    "pool_bytes",
    "table",
    "at",
    "spool_dir",
    "spool_max_bytes",
];

/// Keys of other official transports, which a string shared between clients may hold.
///
/// Source: `spec/configuration.md` section 8.
const FOREIGN_KEYS: &[&str] = &[
    "sender_pool_min",
    "sender_pool_max",
    "query_pool_min",
    "query_pool_max",
    "acquire_timeout_ms",
    "idle_timeout_ms",
    "pool_reap",
    "lazy_connect",
    "sf_dir",
    "sender_id",
    "sf_max_segment_bytes",
    "sf_max_total_bytes",
    "sf_durability",
    "sf_sync_interval_millis",
    "sf_append_deadline_millis",
    "reconnect_max_duration_millis",
    "reconnect_initial_backoff_millis",
    "reconnect_max_backoff_millis",
    "initial_connect_retry",
    "connect_timeout",
    "auth_timeout_ms",
    "close_flush_timeout_millis",
    "request_durable_ack",
    "durable_ack_keepalive_interval_millis",
    "drain_orphans",
    "max_background_drainers",
    "error_inbox_capacity",
    "max_frame_rejections",
    "poison_min_escalation_window_millis",
    "target",
    "zone",
    "client_id",
    "path",
    "max_datagram_size",
    "multicast_ttl",
    "qwp_ws_progress",
];

/// Families of foreign keys that the specification names only by their beginning.
const FOREIGN_PREFIXES: &[&str] = &["failover", "compression"];

/// Keys whose values never leave the configuration in readable form.
const SECRETS: &[&str] = &["password", "token", "token_x", "token_y", "tls_roots_password"];

/// Below this likeness (1 is equal) a suggestion would only puzzle.
const MIN_LIKENESS: f64 = 0.7;

/// The keys and values of one string, all keys known.
pub(super) struct Params {
    values: HashMap<String, String>,
    foreign: Vec<String>,
}

impl Params {
    /// Splits a configuration string into its scheme and its keys.
    pub(super) fn parse(conf: &str) -> Result<(String, Self), ConfigError> {
        let parsed = parse_conf_str(conf).map_err(|error| syntax_error(&error))?;
        let scheme = parsed.service().to_owned();
        if conf.len() == scheme.len() {
            // The parser takes a lone word for a scheme without keys. It is not repeated here: such a word
            // is as likely something pasted by mistake, a token for instance.
            return Err(ConfigError::Syntax { position: scheme.len(), problem: "expected '::' after the scheme" });
        }
        let mut values = parsed.params().clone();
        let mut foreign: Vec<String> = values.keys().filter(|key| is_foreign(key)).cloned().collect();
        foreign.sort_unstable();
        values.retain(|key, _| !is_foreign(key));
        check_known(conf, &values)?;
        Ok((scheme, Self { values, foreign }))
    }

    /// The keys that belong to other transports, sorted.
    pub(super) fn foreign(&self) -> &[String] {
        &self.foreign
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// A text that must not be empty.
    pub(super) fn non_empty(&self, key: &'static str) -> Result<Option<String>, ConfigError> {
        match self.text(key) {
            Some("") => Err(ConfigError::EmptyValue { key }),
            value => Ok(value.map(str::to_owned)),
        }
    }

    /// A plain number, digits only, within `range`.
    pub(super) fn number(&self, key: &'static str, range: RangeInclusive<u64>) -> Result<Option<u64>, ConfigError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        match digits(text) {
            Some(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(bad_value(key, text, expected_number(&range))),
        }
    }

    /// A number that counts something in memory.
    pub(super) fn size(&self, key: &'static str, range: RangeInclusive<u64>) -> Result<Option<usize>, ConfigError> {
        let Some(number) = self.number(key, range)? else {
            return Ok(None);
        };
        match usize::try_from(number) {
            Ok(size) => Ok(Some(size)),
            Err(_) => Err(bad_value(key, &number.to_string(), "a size that fits this machine's memory".into())),
        }
    }

    /// An auto-flush trigger: a number of at least 1, or `off`.
    pub(super) fn trigger(&self, key: &'static str) -> Result<Trigger, ConfigError> {
        match self.text(key) {
            None => Ok(Trigger::Default),
            Some("off") => Ok(Trigger::Off),
            Some(text) => match digits(text) {
                Some(number) if number >= 1 => Ok(Trigger::At(number)),
                _ => Err(bad_value(key, text, "a whole number of at least 1, or \"off\"".into())),
            },
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*value));
        }
        let list: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        Err(bad_value(key, text, format!("one of {}", list.join(", "))))
    }
}

/// The value of one auto-flush trigger.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trigger {
    Default,
    Off,
    At(u64),
}

/// An error about a value, which is shown in a length that fits a line.
fn bad_value(key: &'static str, value: &str, expected: String) -> ConfigError {
    const SHOWN: usize = 40;
    debug_assert!(!SECRETS.contains(&key), "secrets are not quoted");
    let mut shown: String = value.chars().take(SHOWN).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    ConfigError::BadValue { key, value: shown, expected }
}

/// Digits only: `str::parse` would also take a plus sign.
pub(super) fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn expected_number(range: &RangeInclusive<u64>) -> String {
    match (*range.start(), *range.end()) {
        (0, u64::MAX) => "a whole number".into(),
        (least, u64::MAX) => format!("a whole number of at least {least}"),
        (least, most) => format!("a whole number from {least} to {most}"),
    }
}

fn is_foreign(key: &str) -> bool {
    FOREIGN_KEYS.contains(&key) || FOREIGN_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

fn check_known(conf: &str, values: &HashMap<String, String>) -> Result<(), ConfigError> {
    let mut unknown: Vec<&str> = values.keys().map(String::as_str).filter(|key| !KEYS.contains(key)).collect();
    unknown.sort_unstable();
    // A password with an unescaped ';' continues as if it were the next key. One such key makes all suspect.
    for secret in SECRETS {
        let Some(value) = values.get(*secret) else { continue };
        let start = format!("{secret}={};", value.replace(';', ";;"));
        if unknown.iter().any(|key| conf.contains(&format!("{start}{key}="))) {
            return Err(ConfigError::UnknownKeyAfterSecret { secret });
        }
    }
    match unknown.first() {
        Some(key) => Err(ConfigError::UnknownKey { key: (*key).to_owned(), nearest: nearest(key) }),
        None => Ok(()),
    }
}

fn nearest(key: &str) -> Option<&'static str> {
    let key = key.to_ascii_lowercase();
    KEYS.iter()
        .map(|known| (strsim::jaro_winkler(&key, known), *known))
        .filter(|(likeness, _)| *likeness >= MIN_LIKENESS)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// The parser's own texts show the character they stumbled over, which may belong to a secret: ours do not.
fn syntax_error(error: &ParsingError) -> ConfigError {
    let position = error.position();
    let problem = match error.kind() {
        ErrorKind::DuplicateKey(key) => match KEYS.iter().find(|known| *known == key) {
            Some(&"addr") => return ConfigError::SeveralAddr { position },
            Some(key) => return ConfigError::DuplicateKey { key, position },
            None => "a key is given twice",
        },
        ErrorKind::ExpectedIdentifierNotEmpty => "it is empty",
        ErrorKind::ExpectedIdentifierNot(_) if position == 0 => "expected a scheme such as \"http\"",
        ErrorKind::ExpectedIdentifierNot(_) => {
            "expected a key (a ';' inside a value is written ';;', and no spaces stand around keys)"
        }
        ErrorKind::MustBeAlphanumeric(_) => "schemes and keys hold letters, digits and '_' only",
        ErrorKind::BadSeparator((':', _)) => "expected '::' after the scheme",
        ErrorKind::BadSeparator(_) | ErrorKind::IncompleteKeyValue => {
            "expected '=' after a key (a ';' inside a value is written ';;')"
        }
        ErrorKind::InvalidCharInValue(_) => "a value holds a control character",
    };
    ConfigError::Syntax { position, problem }
}
