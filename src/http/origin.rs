//! Who may talk to the server: programs on this machine, and no web page.
//!
//! A page that the user visits can reach a local port, either directly (then the browser names the
//! page in `Origin`) or by having its own name resolve to 127.0.0.1 (then `Host` holds that name).
//! Both are refused unless they name this machine.

use std::net::{IpAddr, Ipv6Addr};

use warp::http::{HeaderMap, header, uri::Authority};

use super::{HttpConfig, cors};
use crate::turn::{ErrorKind, TurnError};

/// The text is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin; write it as in https://app.example or http://10.0.0.5:8080")]
pub struct InvalidOrigin(String);

/// An origin as browsers write it: scheme, host and, if it is not the usual one, the port.
///
/// # Errors
/// [`InvalidOrigin`]; also for `*` and `null`, since they would let in any page.
pub fn parse_origin(text: &str) -> Result<String, InvalidOrigin> {
    let invalid = || InvalidOrigin(text.to_owned());
    let (scheme, authority) = text.split_once("://").ok_or_else(invalid)?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    if scheme.is_empty() || Host::parse(authority).is_none() {
        return Err(invalid());
    }
    Ok(format!("{scheme}://{authority}").to_ascii_lowercase())
}

/// Checks `Host` and `Origin`.
///
/// # Errors
/// `Forbidden`; `InvalidRequest` if there is more than one of a header.
pub fn check(headers: &HeaderMap, config: &HttpConfig) -> Result<(), TurnError> {
    let bound = config.bound;
    if let Some(host) = the_only(headers, &header::HOST)? {
        let names_us = Host::parse(host).is_some_and(|host| {
            let is =
                |name: &String| matches!(&host, Host::Name(it) if name.eq_ignore_ascii_case(it));
            host.is_ours(bound) || config.allowed_hosts.iter().any(is)
        });
        if !names_us {
            return Err(forbidden("Host", host, "--allow-host"));
        }
    }
    if let Some(origin) = the_only(headers, &header::ORIGIN)?
        && cors::origin(headers, &config.allowed_origins).is_none()
    {
        let host = origin.split_once("://").and_then(|(_, it)| Host::parse(it));
        if !host.is_some_and(|host| host.is_ours(bound)) {
            return Err(forbidden("Origin", origin, "--allow-origin"));
        }
    }
    Ok(())
}

/// The value of a header that a request has at most once.
fn the_only<'a>(
    headers: &'a HeaderMap,
    name: &header::HeaderName,
) -> Result<Option<&'a str>, TurnError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(TurnError::new(
            ErrorKind::InvalidRequest,
            format!("the request has more than one `{name}` header; send one"),
        ));
    }
    // A value that is not ASCII is not a host.
    Ok(value.map(|value| value.to_str().unwrap_or("?")))
}

/// The host of an authority, without its port.
#[derive(Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    /// In lower case.
    Name(String),
}

impl Host {
    /// Reads `host` or `host:port`, and nothing else: `Authority` alone takes `[::1].evil.example`
    /// for the host `[::1]`, and user names before an `@`.
    fn parse(text: &str) -> Option<Self> {
        let authority: Authority = text.parse().ok()?;
        let host = authority.host();
        let exact = match authority.port() {
            Some(port) => text == format!("{host}:{port}"),
            None => text == host,
        };
        if !exact {
            return None;
        }
        if let Some(address) = host.strip_prefix('[') {
            let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Address(address.into()));
        }
        if let Ok(address) = host.parse() {
            return Some(Self::Address(address));
        }
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        (!host.is_empty() && host.bytes().all(is_name))
            .then(|| Self::Name(host.to_ascii_lowercase()))
    }

    fn is_ours(&self, bound: IpAddr) -> bool {
        match self {
            // A page can't make its own name an address, so any address was meant.
            Self::Address(ip) => ip.is_loopback() || *ip == bound || bound.is_unspecified(),
            Self::Name(name) => {
                name == "localhost" || name.ends_with(".localhost") || !bound.is_loopback()
            }
        }
    }
}

fn forbidden(header: &str, value: &str, flag: &str) -> TurnError {
    TurnError::new(
        ErrorKind::Forbidden,
        format!(
            "requests with `{header}: {value}` are refused; use http://127.0.0.1 or localhost, \
             or start the server with {flag}"
        ),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn config() -> HttpConfig {
        let mut config = HttpConfig::new(Ipv4Addr::LOCALHOST.into());
        config.allowed_hosts = vec!["box.lan".to_owned()];
        config.allowed_origins = vec![parse_origin("https://App.example/").unwrap()];
        config
    }

    fn allowed(name: header::HeaderName, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        check(&headers, &config()).is_ok()
    }

    #[test]
    fn only_names_of_this_machine() {
        for host in [
            "localhost:32124",
            "127.0.0.1",
            "127.0.0.1:1",
            "[::1]:80",
            "[::1]",
            "app.localhost",
            "BOX.lan:32124",
        ] {
            assert!(allowed(header::HOST, host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:32124",
            "localhost.evil.example",
            "app.example",
            "x.box.lan",
            "",
            "[::1].evil.example",
            "[::1]evil.example:80",
            "[::1]:80.evil.example",
            "[127.0.0.1]",
            "::1",
            "user@localhost",
            "localhost:80:80",
            "localhost:99999",
            "localhost/evil.example",
            "localhost, evil.example",
        ] {
            assert!(!allowed(header::HOST, host), "{host}");
        }
        for origin in [
            "http://localhost:3000",
            "https://app.example",
            "http://[::1]:3000",
        ] {
            assert!(allowed(header::ORIGIN, origin), "{origin}");
        }
        for origin in [
            "https://evil.example",
            "null",
            "file://",
            "http://box.lan",
            "http://app.example",
            "https://app.example:444",
            "http://[::1].evil.example",
            "http://localhost@evil.example",
            "http://evil.example@localhost",
            "http://localhost/x",
        ] {
            assert!(!allowed(header::ORIGIN, origin), "{origin}");
        }
        assert!(check(&HeaderMap::new(), &config()).is_ok());
    }

    #[test]
    fn a_header_that_decides_is_sent_once() {
        for name in [header::HOST, header::ORIGIN] {
            let mut headers = HeaderMap::new();
            for value in ["localhost", "http://localhost"] {
                headers.append(&name, value.parse().unwrap());
            }
            let error = check(&headers, &config()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidRequest, "{name}");
        }
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for (text, origin) in [
            ("https://app.example", "https://app.example"),
            ("HTTP://[::1]:80/", "http://[::1]:80"),
            ("vscode-webview://abc", "vscode-webview://abc"),
        ] {
            assert_eq!(parse_origin(text).unwrap(), origin);
        }
        for text in [
            "*",
            "null",
            "app.example",
            "https://",
            "https://*",
            "https://a/b",
            "https://a@b",
            "http://[::1].evil.example",
        ] {
            assert!(parse_origin(text).is_err(), "{text}");
        }
    }
}
