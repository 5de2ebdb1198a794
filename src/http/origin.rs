//! Who may talk to the server: programs on this machine, and no web page.
//!
//! A page that the user visits can reach a local port, either directly (then the browser names the
//! page in `Origin`) or by having its own name resolve to 127.0.0.1 (then the name stands in
//! `Host`). Both are refused unless they are names of this machine.

use std::net::IpAddr;

use warp::http::{HeaderMap, header, uri::Authority};

use crate::turn::{ErrorKind, TurnError};

/// Checks `Host` and `Origin`. `bound` is the address that the server was told to listen on.
///
/// # Errors
/// `Forbidden`.
pub fn check(headers: &HeaderMap, bound: IpAddr) -> Result<(), TurnError> {
    if let Some(host) = headers.get(header::HOST) {
        let allowed = host
            .to_str()
            .ok()
            .and_then(|host| host.parse::<Authority>().ok())
            .is_some_and(|authority| is_ours(authority.host(), bound));
        if !allowed {
            return Err(forbidden("Host", host.to_str().unwrap_or("?")));
        }
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or("?");
        let allowed = origin
            .split_once("://")
            .and_then(|(_, authority)| authority.parse::<Authority>().ok())
            .is_some_and(|authority| is_ours(authority.host(), bound));
        if !allowed {
            return Err(forbidden("Origin", origin));
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

fn forbidden(header: &str, value: &str) -> TurnError {
    TurnError::new(
        ErrorKind::Forbidden,
        format!("requests with `{header}: {value}` are refused; use http://127.0.0.1 or localhost"),
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
        check(&headers, Ipv4Addr::LOCALHOST.into()).is_ok()
    }

    #[test]
    fn only_names_of_this_machine() {
        for host in [
            "localhost:32124",
            "127.0.0.1",
            "127.0.0.1:1",
            "[::1]:80",
            "app.localhost",
        ] {
            assert!(allowed(header::HOST, host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:32124",
            "localhost.evil.example",
            "",
        ] {
            assert!(!allowed(header::HOST, host), "{host}");
        }
        assert!(allowed(header::ORIGIN, "http://localhost:3000"));
        for origin in ["https://evil.example", "null", "file://"] {
            assert!(!allowed(header::ORIGIN, origin), "{origin}");
        }
        assert!(check(&HeaderMap::new(), Ipv4Addr::LOCALHOST.into()).is_ok());
    }
}
