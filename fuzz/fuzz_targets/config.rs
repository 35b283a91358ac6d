//! Any configuration string: it is read or refused, never with a panic, and no secret in it is ever shown.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use questframe::{Client, Config};

/// What must not be seen again.
const SECRET: &str = "S3cretOfOurs";

#[derive(Arbitrary, Debug)]
enum Conf<'a> {
    Any(&'a str),
    /// With a secret in it, between other keys.
    Secret {
        scheme: Scheme,
        before: Vec<(Key<'a>, &'a str)>,
        key: SecretKey,
        form: Form,
        after: &'a str,
    },
}

#[derive(Arbitrary, Debug)]
enum Scheme {
    Http,
    Https,
    Tcp,
    Tcps,
    Upper,
}

#[derive(Arbitrary, Debug)]
enum Key<'a> {
    Known(u8),
    Any(&'a str),
}

#[derive(Arbitrary, Debug)]
enum SecretKey {
    Password,
    Token,
    TokenX,
    TokenY,
}

/// How the secret stands in the string, also as somebody wrote it who did not know that `;` is to be doubled.
#[derive(Arbitrary, Debug)]
enum Form {
    Plain,
    Doubled,
    Torn,
    TornWithValue,
}

const KEYS: [&str; 16] = [
    "addr",
    "username",
    "tls_verify",
    "tls_ca",
    "protocol_version",
    "request_timeout",
    "retry_timeout",
    "auto_flush",
    "auto_flush_rows",
    "auto_flush_bytes",
    "max_buf_size",
    "max_name_len",
    "connections",
    "pool_bytes",
    "table",
    "at",
];

impl Conf<'_> {
    /// The string, and whether it holds the secret.
    fn text(&self) -> (String, bool) {
        let (scheme, before, key, form, after) = match self {
            Self::Any(text) => return ((*text).to_owned(), false),
            Self::Secret { scheme, before, key, form, after } => (scheme, before, key, form, after),
        };
        let scheme = match scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Tcp => "tcp",
            Scheme::Tcps => "tcps",
            Scheme::Upper => "HTTP",
        };
        let mut text = format!("{scheme}::");
        for (key, value) in before {
            let key = match key {
                Key::Known(number) => KEYS[usize::from(*number) % KEYS.len()],
                // A key with these in it would be the end of what it is to be.
                Key::Any(key) => key.split([';', '=']).next().unwrap_or_default(),
            };
            // Doubled, so that the value does not reach beyond its own end.
            text.push_str(&format!("{key}={};", value.replace(';', ";;")));
        }
        let key = match key {
            SecretKey::Password => "password",
            SecretKey::Token => "token",
            SecretKey::TokenX => "token_x",
            SecretKey::TokenY => "token_y",
        };
        let secret = match form {
            Form::Plain => SECRET.to_owned(),
            Form::Doubled => format!("a;;{SECRET}"),
            Form::Torn => format!("a;{SECRET}"),
            Form::TornWithValue => format!("a;{SECRET}=b"),
        };
        text.push_str(&format!("{key}={secret};{}", after.trim_start_matches(';')));
        (text, true)
    }
}

/// What was handed in may hold the secret itself: the fuzzer learns it from comparisons.
fn is_told_elsewhere(text: &str) -> bool {
    text.matches(SECRET).count() != 1
}

fuzz_target!(|conf: Conf<'_>| {
    let (text, has_secret) = conf.text();
    // Files of any name are not read here.
    if text.contains("tls_roots") {
        return;
    }
    let shown = match Config::from_conf(&text) {
        Err(error) => format!("{error} {error:?}"),
        Ok(config) => {
            let shown = format!("{config:?} {:?}", config.warnings());
            // Trust stores take long to read and are the same every time.
            let is_plain = text.starts_with("http:");
            match is_plain.then(|| Client::from_conf(&text)) {
                Some(Ok(client)) => format!("{shown} {client:?}"),
                Some(Err(error)) => format!("{shown} {error} {error:?}"),
                None => shown,
            }
        }
    };
    if has_secret && !is_told_elsewhere(&text) {
        assert!(!shown.contains(SECRET), "{text:?} is shown as {shown}");
    }
});
