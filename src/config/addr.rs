//! Server addresses: `host`, `host:port`, `[ipv6]` or `[ipv6]:port`, several with commas between them.

use std::net::Ipv6Addr;

use super::ConfigError;
use super::params::digits;

/// Splits a list of addresses, none of them twice.
pub(super) fn parse_list(list: &str, default_port: u16) -> Result<Vec<(String, u16)>, ConfigError> {
    let mut hosts = Vec::new();
    for addr in list.split(',') {
        let host = parse(addr.trim(), default_port, list.contains(['@', '=']))?;
        if hosts.contains(&host) {
            return Err(ConfigError::SameHostTwice { host: format!("{}:{}", host.0, host.1) });
        }
        hosts.push(host);
    }
    Ok(hosts)
}

/// Splits an address; the host keeps the brackets of an IPv6 address, as URLs want it.
///
/// "user:password@host" may hold a password, and a URL with one is the likeliest reason for an '@' anywhere in the list; and a
/// '=' is of the next key, which may be a token, if another character stands where the ';' should: then nothing is shown.
fn parse(addr: &str, default_port: u16, is_hidden: bool) -> Result<(String, u16), ConfigError> {
    let bad = |problem| ConfigError::BadAddr { addr: (!is_hidden).then(|| addr.to_owned()), problem };
    if addr.contains('@') {
        return Err(bad("credentials go into \"username\" and \"password\", or \"token\""));
    }
    if addr.contains('=') {
        return Err(bad("it holds a '=', maybe of the next key; write a ';' between the address and that"));
    }
    if addr.contains('/') {
        return Err(bad("it holds a '/'; leave out \"http://\" and any path"));
    }
    let (host, port) = match addr.strip_prefix('[') {
        Some(rest) => {
            let (ip, rest) = rest.split_once(']').ok_or_else(|| bad("the ']' after the IPv6 address is missing"))?;
            if ip.parse::<Ipv6Addr>().is_err() {
                return Err(bad("there is no IPv6 address between '[' and ']'"));
            }
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(port),
                None if rest.is_empty() => None,
                None => return Err(bad("expected ':' and the port after ']'")),
            };
            (format!("[{ip}]"), port)
        }
        None => {
            if addr.parse::<Ipv6Addr>().is_ok() {
                return Err(bad("an IPv6 address stands in brackets, as in \"[::1]:9000\""));
            }
            match addr.split_once(':') {
                Some((host, port)) => (host.to_owned(), Some(port)),
                None => (addr.to_owned(), None),
            }
        }
    };
    if host.is_empty() {
        return Err(bad("the host is missing"));
    }
    if !host.starts_with('[') && !host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        return Err(bad("the host holds a character that no host name has"));
    }
    let port = match port {
        None => default_port,
        Some(text) => digits(text)
            .and_then(|port| u16::try_from(port).ok())
            .filter(|port| *port != 0)
            .ok_or_else(|| bad("the port must be a number from 1 to 65535"))?,
    };
    Ok((host, port))
}
