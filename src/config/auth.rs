//! Credentials: which combinations make sense on which transport.

use std::fmt;

use super::params::Params;
use super::{ConfigError, Scheme};

/// How a client proves who it is.
#[derive(Clone)]
pub(crate) enum Auth {
    /// Not at all.
    None,
    /// HTTP basic authentication.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: String,
    },
    /// HTTP bearer token.
    Bearer {
        /// The token.
        token: String,
    },
    /// The signature challenge of ILP over TCP.
    Ecdsa {
        /// The key's id, from `username`.
        key_id: String,
        /// The private scalar, from `token`.
        private_key: String,
        /// The public point's x coordinate.
        public_x: String,
        /// The public point's y coordinate.
        public_y: String,
    },
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HIDDEN: &str = "***";
        match self {
            Self::None => f.write_str("None"),
            Self::Basic { username, .. } => {
                f.debug_struct("Basic").field("username", username).field("password", &HIDDEN).finish()
            }
            Self::Bearer { .. } => f.debug_struct("Bearer").field("token", &HIDDEN).finish(),
            Self::Ecdsa { key_id, .. } => f
                .debug_struct("Ecdsa")
                .field("key_id", key_id)
                .field("token", &HIDDEN)
                .field("token_x", &HIDDEN)
                .field("token_y", &HIDDEN)
                .finish(),
        }
    }
}

const BASIC_NO_PASSWORD: &str = "Basic authentication parameter \"username\" is present, but \"password\" is missing.";
const BASIC_NO_USERNAME: &str = "Basic authentication parameter \"password\" is present, but \"username\" is missing.";
const HTTP_BOTH: &str = "Inconsistent HTTP authentication parameters. Specify either \"username\" and \"password\", \
                         or just \"token\".";
const HTTP_ECDSA: &str = "ECDSA authentication is only available with ILP/TCP and not available with ILP/HTTP.";
const TCP_BASIC: &str = "The \"basic_auth\" setting can only be used with the ILP/HTTP protocol.";
const TCP_TOKEN: &str = "Token authentication only be used with the ILP/HTTP protocol.";
const TCP_INCOMPLETE: &str = "Incomplete ECDSA authentication parameters. Specify either all or none of: \
                              \"username\", \"token\", \"token_x\", \"token_y\".";
const INCOMPLETE: &str = "Incomplete authentication parameters. Check \"username\", \"password\", \"token\", \
                          \"token_x\" and \"token_y\" parameters are set correctly.";

/// The credentials of a configuration string. Errors carry the official clients' texts, though those
/// clients find them only when they connect (`spec/configuration.md` section 3.1).
pub(super) fn parse(scheme: Scheme, params: &Params) -> Result<Auth, ConfigError> {
    let username = params.text("username").map(str::to_owned);
    let password = params.text("password").map(str::to_owned);
    let token = params.non_empty("token")?;
    let token_x = params.non_empty("token_x")?;
    let token_y = params.non_empty("token_y")?;

    let problem = if scheme.is_http() {
        match (username, password, token, token_x, token_y) {
            (None, None, None, None, None) => return Ok(Auth::None),
            (Some(username), Some(password), None, None, None) => return Ok(Auth::Basic { username, password }),
            (None, None, Some(token), None, None) => return Ok(Auth::Bearer { token }),
            (Some(_), None, None, None, None) => BASIC_NO_PASSWORD,
            (None, Some(_), None, None, None) => BASIC_NO_USERNAME,
            (Some(_), None, Some(_), Some(_), Some(_)) => HTTP_ECDSA,
            (_, _, Some(_), None, None) => HTTP_BOTH,
            _ => INCOMPLETE,
        }
    } else {
        match (username, password, token, token_x, token_y) {
            (None, None, None, None, None) => return Ok(Auth::None),
            (Some(key_id), None, Some(private_key), Some(public_x), Some(public_y)) => {
                return Ok(Auth::Ecdsa { key_id, private_key, public_x, public_y });
            }
            (Some(_), Some(_), None, None, None) => TCP_BASIC,
            (None, None, Some(_), None, None) => TCP_TOKEN,
            (_, None, _, _, _) => TCP_INCOMPLETE,
            _ => INCOMPLETE,
        }
    };
    Err(ConfigError::Auth { problem })
}
