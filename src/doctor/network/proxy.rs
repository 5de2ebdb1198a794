//! Which proxy the environment names for a host.

use hyper::Uri;

use super::host_of;

/// The variables that name a proxy for `https://`; the first one that is set counts.
const PROXIES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const EXCEPTIONS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// The HTTP proxy for a host, without its credentials, and the variable that names it, if one does.
/// Else why it is not known: the variable names one that only the agent can use, or no proxy at all.
pub(super) fn of<'e>(
    get: impl Fn(&str) -> Option<&'e str>,
    host: &str,
) -> Result<Option<(String, &'static str)>, String> {
    let exceptions = EXCEPTIONS.iter().find_map(|name| get(name));
    if exceptions.is_some_and(|list| is_exception(list, host)) {
        return Ok(None);
    }
    let named = PROXIES
        .into_iter()
        .find_map(|name| Some((name, get(name)?)));
    let Some((variable, url)) = named else {
        return Ok(None);
    };
    let url = url.trim();
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    if scheme != "http" {
        return Err(format!(
            "only the agent can use the `{scheme}` proxy that {variable} names"
        ));
    }
    let uri = format!("http://{rest}").parse::<Uri>();
    match uri.ok().and_then(|uri| host_of(&uri, 80)) {
        Some(proxy) => Ok(Some((proxy, variable))),
        None => Err(format!("{variable} is not the address of a proxy")),
    }
}

/// `NO_PROXY`: names, which stand for the names below them too, addresses, or `*` for all.
fn is_exception(list: &str, host: &str) -> bool {
    let (host, host_port) = host.rsplit_once(':').unwrap_or((host, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let entries = list.split(|c: char| c == ',' || c.is_whitespace());
    entries.filter(|entry| !entry.is_empty()).any(|entry| {
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') => (name, port.parse().ok()),
            _ => (entry, None),
        };
        let name = name.trim_start_matches('*').trim_start_matches('.');
        let below = host.strip_suffix(name);
        let covers = below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        port.is_none_or(|port: u16| port.to_string() == host_port) && (covers || entry == "*")
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn proxy(env: &[(&str, &'static str)]) -> Result<Option<(String, &'static str)>, String> {
        let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, v)| *v);
        of(get, "api2.cursor.sh:443")
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
            let (host, variable) = proxy(&[("HTTPS_PROXY", url)]).unwrap().unwrap();
            assert_eq!((host.as_str(), variable), (shown, "HTTPS_PROXY"));
        }
        for url in ["socks5://p:1", "https://p:1", "http://", "a b"] {
            assert!(proxy(&[("all_proxy", url)]).is_err(), "{url}");
        }
        assert_eq!(proxy(&[("HTTP_PROXY", "http://p:1")]), Ok(None));
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
            let found = proxy(&[("https_proxy", "http://p:1"), ("no_proxy", list)]);
            assert_eq!(found == Ok(None), direct, "{list}");
        }
    }
}
