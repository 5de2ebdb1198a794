//! Whether a server answers where OpenCode looks for it.

use super::{CheckResult, Checked, Context};
use crate::http;

pub(super) async fn check(context: &Context) -> Checked {
    let inspection = context.inspected()?;
    if !inspection.has_provider() {
        return Ok(CheckResult::info(
            "not checked: OpenCode has no provider of ours",
        ));
    }
    let url = inspection.base_url().ok_or_else(|| {
        CheckResult::problem("the provider has no baseURL").hint("run `open-cursor sync-models`")
    })?;
    let authority = authority(url).ok_or_else(|| {
        let text = format!("baseURL {url} is not an http:// or https:// address");
        CheckResult::problem(text).hint(format!("use http://{}/v1", context.addr()))
    })?;
    if !url.starts_with("http://") {
        return Ok(CheckResult::info(format!(
            "baseURL {url} is not checked: it is not an http:// address"
        )));
    }
    let port = if authority.contains(':') { "" } else { ":80" };
    let addresses = tokio::net::lookup_host(format!("{authority}{port}")).await;
    let addresses =
        addresses.map_err(|error| CheckResult::problem(format!("baseURL {url}: {error}")))?;
    for addr in addresses {
        if let Some(running) = http::identify(addr).await {
            return Ok(CheckResult::ok(format!("{running} answers at {url}")));
        }
    }
    let missing = CheckResult::warning(format!("no open-cursor answers at {url}"));
    Ok(missing
        .hint("start `open-cursor serve`, or keep it running with `open-cursor install --service`"))
}

/// `127.0.0.1:32124` of `http://127.0.0.1:32124/v1`.
fn authority(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    (matches!(scheme, "http" | "https") && !authority.is_empty()).then_some(authority)
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
