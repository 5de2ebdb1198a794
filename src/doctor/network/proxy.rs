//! Which proxy the environment names for a host.

use std::fmt;

use hyper::Uri;

use super::HostPort;

/// The variables that name a proxy for `https://`; the first one that is set counts.
const PROXIES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

#[derive(Debug, PartialEq, Eq)]
pub(super) enum ProxyRoute {
    Direct,
    Proxy(Proxy),
    /// The variable names a proxy that only the agent can use, or no proxy at all; why.
    Unknown(String),
}

/// An HTTP proxy. Shown without its credentials.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) host: HostPort,
    variable: &'static str,
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.host, self.variable)
    }
}

pub(super) fn route<'e>(get: impl Fn(&str) -> Option<&'e str>, host: &HostPort) -> ProxyRoute {
    let exceptions = EXCEPTIONS.iter().find_map(|name| get(name));
    if exceptions.is_some_and(|list| is_exception(list, host)) {
        return ProxyRoute::Direct;
    }
    let named = PROXIES
        .iter()
        .find_map(|name| Some((*name, get(name)?.trim())));
    let Some((variable, url)) = named else {
        return ProxyRoute::Direct;
    };
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    if scheme != "http" {
        return ProxyRoute::Unknown(format!(
            "only the agent can use the `{scheme}` proxy that {variable} names"
        ));
    }
    let uri = format!("http://{rest}").parse::<Uri>();
    match uri.ok().and_then(|uri| HostPort::of(&uri, 80)) {
        Some(host) => ProxyRoute::Proxy(Proxy { host, variable }),
        None => ProxyRoute::Unknown(format!("{variable} is not the address of a proxy")),
    }
}

/// `NO_PROXY`: names, which stand for the names below them too, addresses, or `*` for all.
fn is_exception(list: &str, host: &HostPort) -> bool {
    let entries = list.split(|c: char| c == ',' || c.is_whitespace());
    entries.filter(|entry| !entry.is_empty()).any(|entry| {
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') => (name, port.parse().ok()),
            _ => (entry, None),
        };
        let name = name.trim_start_matches('*').trim_start_matches('.');
        let below = host.name.strip_suffix(name);
        let covers = below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        port.is_none_or(|port: u16| port == host.port) && (covers || entry == "*")
    })
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    fn cursor() -> HostPort {
        HostPort {
            name: "api2.cursor.sh".to_owned(),
            port: 443,
        }
    }

    fn of(env: &[(&str, &'static str)]) -> ProxyRoute {
        let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, v)| *v);
        route(get, &cursor())
    }

    #[test]
    fn the_environment_names_the_proxy() {
        for (url, shown) in [
            ("http://10.0.0.1:3128", "10.0.0.1:3128"),
            ("proxy.corp:8080/", "proxy.corp:8080"),
            ("http://proxy.corp", "proxy.corp:80"),
            ("http://[::1]:1", "[::1]:1"),
            ("http://a:b%40c@p:1", "p:1"),
        ] {
            let ProxyRoute::Proxy(proxy) = of(&[("HTTPS_PROXY", url)]) else {
                panic!("{url}");
            };
            assert_eq!(proxy.to_string(), format!("{shown} (HTTPS_PROXY)"));
        }
        for url in ["socks5://p:1", "https://p:1", "http://", "a b"] {
            assert!(
                matches!(of(&[("all_proxy", url)]), ProxyRoute::Unknown(_)),
                "{url}"
            );
        }
        assert_eq!(of(&[("HTTP_PROXY", "http://p:1")]), ProxyRoute::Direct);
    }

    #[test]
    fn exceptions() {
        for (list, direct) in [
            ("*", true),
            ("api2.cursor.sh", true),
            ("localhost, .cursor.sh", true),
            ("*.cursor.sh", true),
            ("cursor.sh:443", true),
            ("cursor.sh:80", false),
            ("sor.sh", false),
            ("", false),
            (" , ", false),
            ("::1", false),
        ] {
            let route = of(&[("https_proxy", "http://p:1"), ("no_proxy", list)]);
            assert_eq!(route == ProxyRoute::Direct, direct, "{list}");
        }
    }
}
