//! Whether a server answers where OpenCode looks for it.

use super::{Context, finding::CheckResult};
use crate::http;

pub(super) async fn check(context: &Context) -> CheckResult {
    let Some(Ok(inspection)) = context.inspect() else {
        return CheckResult::info("not checked: OpenCode's configuration cannot be read");
    };
    if !inspection.has_provider() {
        return CheckResult::info("not checked: OpenCode has no provider of ours");
    }
    let Some(url) = inspection.base_url() else {
        return CheckResult::problem("the provider has no baseURL")
            .hint("run `open-cursor sync-models`");
    };
    let Some(authority) = authority(url) else {
        return CheckResult::problem(format!(
            "baseURL {url} is not an http:// or https:// address"
        ))
        .hint(format!("use http://{}/v1", context.addr()));
    };
    if !url.starts_with("http://") {
        return CheckResult::info(format!(
            "baseURL {url} is not checked: it is not an http:// address"
        ));
    }
    let authority = if authority.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let addresses = match tokio::net::lookup_host(&authority).await {
        Ok(addresses) => addresses,
        Err(error) => return CheckResult::problem(format!("baseURL {url}: {error}")),
    };
    for addr in addresses {
        if let Some(running) = http::identify(addr).await {
            return CheckResult::ok(format!("{running} answers at {url}"));
        }
    }
    CheckResult::warning(format!("no open-cursor answers at {url}"))
        .hint("start `open-cursor serve`, or keep it running with `open-cursor install --service`")
}

/// `127.0.0.1:32124` of `http://127.0.0.1:32124/v1`.
fn authority(url: &str) -> Option<&str> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))?;
    rest.split('/')
        .next()
        .filter(|authority| !authority.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        for (url, expected) in [
            ("http://127.0.0.1:32124/v1", Some("127.0.0.1:32124")),
            ("https://proxy.example", Some("proxy.example")),
            ("127.0.0.1:32124", None),
            ("http:///v1", None),
        ] {
            assert_eq!(authority(url), expected);
        }
    }
}
