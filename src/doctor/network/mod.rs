//! Whether Cursor's host can be reached as the CLI reaches it: by the same proxy, trusting the same
//! certificates. It ends with the TLS handshake: no request is made and no credential is sent. That
//! the service works, `create-chat` proves.

mod connect;
mod proxy;
mod trust;

use std::{fmt, time::Instant};

use hyper::Uri;

use super::{Context, finding::Verdict};
use connect::Unreachable;
use proxy::{Proxy, Route};
use trust::Trust;

/// Where the CLI asks, unless one of `ELSEWHERE` is set.
const CURSOR: &str = "https://api2.cursor.sh";
const ELSEWHERE: [&str; 2] = ["CURSOR_API_ENDPOINT", "CURSOR_API_BASE_URL"];

/// A name, or an address without brackets, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Host {
    name: String,
    port: u16,
}

impl Host {
    fn of(uri: &Uri, default_port: u16) -> Option<Self> {
        let name = uri.host()?.trim_start_matches('[').trim_end_matches(']');
        Some(Self {
            name: name.to_owned(),
            port: uri.port_u16().unwrap_or(default_port),
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') {
            write!(f, "[{name}]:{port}")
        } else {
            write!(f, "{name}:{port}")
        }
    }
}

pub(super) async fn check(context: &Context) -> Verdict {
    let program = context.program.as_ref();
    if program.is_ok_and(|program| !program.leading_args.is_empty()) {
        return Verdict::info("not checked: the replay agent needs no network");
    }
    let get = |name: &str| context.env.get(name).and_then(|value| value.to_str());
    let url = ELSEWHERE
        .iter()
        .find_map(|name| get(name))
        .unwrap_or(CURSOR);
    let uri = url.parse::<Uri>().ok();
    let uri = uri.filter(|uri| uri.scheme_str() == Some("https"));
    let Some(host) = uri.and_then(|uri| Host::of(&uri, 443)) else {
        return Verdict::info(format!("not checked: {url} is no https:// address"));
    };
    let proxy = match proxy::route(get, &host) {
        Route::Direct => None,
        Route::Proxy(proxy) => Some(proxy),
        Route::Unknown(why) => return Verdict::info(format!("not checked: {why}")),
    };
    let trust = Trust::read(get(trust::EXTRA)).await;
    let begun = Instant::now();
    match connect::reach(&host, proxy.as_ref(), &trust).await {
        Err(failure) => unreachable(&host, proxy.as_ref(), &trust, &failure),
        Ok(()) => {
            let by = proxy.map_or_else(String::new, |proxy| format!(" by {proxy}"));
            let took = begun.elapsed().as_millis();
            let message = format!("{host} answers{by}, its certificate is trusted ({took} ms)");
            match &trust.unread {
                None => Verdict::ok(message),
                Some(why) => Verdict::warning(format!("{message}, but {why}"))
                    .hint("name a file of certificates in PEM form, or unset the variable"),
            }
        }
    }
}

fn unreachable(
    host: &Host,
    proxy: Option<&Proxy>,
    trust: &Trust,
    failure: &Unreachable,
) -> Verdict {
    let hint = match failure {
        Unreachable::Refused { status: 407, .. } => {
            "the proxy wants a name and a password: HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT"
                .into()
        }
        Unreachable::Refused { .. } => format!(
            "ask who runs the proxy to allow {host}, or name it in NO_PROXY if it is reached without"
        ),
        Unreachable::Untrusted { clock: true, .. } => "is this machine's clock right?".to_owned(),
        Unreachable::Untrusted { .. } => match (&trust.unread, trust.has_extra) {
            (Some(why), _) => format!("{why}; it must hold the CA of whoever inspects TLS here"),
            (None, true) => format!(
                "the CA of whoever inspects TLS here is not among those in {}",
                trust::EXTRA
            ),
            (None, false) => format!(
                "companies inspect TLS like this: set {} to the file of the company's CA (PEM), \
                 which Cursor's CLI needs too; it does not ask the operating system",
                trust::EXTRA
            ),
        },
        _ if proxy.is_some() => "check the proxy's address, or unset the variable".to_owned(),
        _ => "check the network; behind a proxy, set HTTPS_PROXY".to_owned(),
    };
    let by = proxy.map_or_else(String::new, |proxy| format!(" by {proxy}"));
    Verdict::problem(format!("{host} can't be reached{by}: {failure}")).hint(hint)
}
