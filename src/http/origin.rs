//! Who may talk to the server: programs on this machine, and no web page.
//!
//! A page that the user visits can reach a local port, either directly (then the browser names the
//! page in `Origin`) or by having its own name resolve to 127.0.0.1 (then the name stands in
//! `Host`). Both are refused unless they are names of this machine.

use std::net::IpAddr;

use warp::http::{HeaderMap, header, uri::Authority};

use super::{Config, cors};
use crate::turn::{ErrorKind, TurnError};

/// What is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin; write it as in https://app.example or http://10.0.0.5:8080")]
pub struct InvalidOrigin(String);

/// An origin as browsers write it: scheme, host and, if it is not the usual one, the port.
///
/// # Errors
/// [`InvalidOrigin`]; `*` and `null` are none, since they would let in any page.
pub fn parse_origin(text: &str) -> Result<String, InvalidOrigin> {
    let invalid = || InvalidOrigin(text.to_owned());
    let (scheme, authority) = text.split_once("://").ok_or_else(invalid)?;
    let authority = authority.trim_end_matches('/');
    let authority: Authority = authority.parse().map_err(|_| invalid())?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-.[]:".contains(c);
    if scheme.is_empty() || !authority.as_str().chars().all(is_name) {
        return Err(invalid());
    }
    Ok(format!("{scheme}://{authority}").to_ascii_lowercase())
}

/// Checks `Host` and `Origin`.
///
/// # Errors
/// `Forbidden`.
pub fn check(headers: &HeaderMap, config: &Config) -> Result<(), TurnError> {
    let bound = config.bound;
    if let Some(host) = headers.get(header::HOST) {
        let allowed = host
            .to_str()
            .ok()
            .and_then(|host| host.parse::<Authority>().ok())
            .is_some_and(|authority| {
                let host = authority.host();
                let named = |name: &String| name.eq_ignore_ascii_case(host);
                is_ours(host, bound) || config.allowed_hosts.iter().any(named)
            });
        if !allowed {
            return Err(forbidden(
                "Host",
                host.to_str().unwrap_or("?"),
                "--allow-host",
            ));
        }
    }
    if let Some(origin) = headers.get(header::ORIGIN)
        && cors::origin(headers, &config.allowed_origins).is_none()
    {
        let origin = origin.to_str().unwrap_or("?");
        let allowed = origin
            .split_once("://")
            .and_then(|(_, authority)| authority.parse::<Authority>().ok())
            .is_some_and(|authority| is_ours(authority.host(), bound));
        if !allowed {
            return Err(forbidden("Origin", origin, "--allow-origin"));
        }
    }
    Ok(())
}

fn is_ours(host: &str, bound: IpAddr) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        // A page can't make its own name an address, so any address was meant.
        Ok(ip) => ip.is_loopback() || ip == bound || bound.is_unspecified(),
        Err(_) => {
            let host = host.to_ascii_lowercase();
            host == "localhost" || host.ends_with(".localhost") || !bound.is_loopback()
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

    fn allowed(name: header::HeaderName, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        let mut config = Config::new(Ipv4Addr::LOCALHOST.into());
        config.allowed_hosts = vec!["box.lan".to_owned()];
        config.allowed_origins = vec![parse_origin("https://App.example/").unwrap()];
        check(&headers, &config).is_ok()
    }

    #[test]
    fn only_names_of_this_machine() {
        for host in [
            "localhost:32124",
            "127.0.0.1",
            "127.0.0.1:1",
            "[::1]:80",
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
        ] {
            assert!(!allowed(header::HOST, host), "{host}");
        }
        for origin in ["http://localhost:3000", "https://app.example"] {
            assert!(allowed(header::ORIGIN, origin), "{origin}");
        }
        for origin in [
            "https://evil.example",
            "null",
            "file://",
            "http://box.lan",
            "http://app.example",
            "https://app.example:444",
        ] {
            assert!(!allowed(header::ORIGIN, origin), "{origin}");
        }
        let config = Config::new(Ipv4Addr::LOCALHOST.into());
        assert!(check(&HeaderMap::new(), &config).is_ok());
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
        ] {
            assert!(parse_origin(text).is_err(), "{text}");
        }
    }
}
