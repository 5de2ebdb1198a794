//! `doctor --deep` on good and bad networks.

use std::net::{SocketAddr, TcpListener};

use serde_json::Value;

use crate::support::Home;

/// A home with an agent that answers nothing.
fn home() -> Home {
    let home = Home::new().env("CURSOR_ACP_FENCE", "off");
    home.program("cursor-agent", "#!/bin/sh\n");
    home
}

/// Whether the check has this severity, and these words in message and hint.
fn is(home: &Home, severity: &str, message: &str, hint: &str) {
    let ended = home.run(&["doctor", "--deep", "--no-chat", "--json"]);
    let value: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let findings = value["findings"].as_array().unwrap();
    let found = findings.iter().find(|it| it["check"] == "network").unwrap();
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    assert!(
        text("severity") == severity
            && text("message").contains(message)
            && text("hint").contains(hint),
        "{found:?}"
    );
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// An address where nobody listens.
fn closed() -> SocketAddr {
    listener().1
}

#[test]
fn directly() {
    let (_open, addr) = listener();
    let to = |addr: SocketAddr| home().env("CURSOR_API_ENDPOINT", format!("https://{addr}"));
    is(&to(addr), "ok", &format!("{addr} accepts connections"), "");
    let bypassed = to(addr)
        .env("HTTPS_PROXY", format!("http://{}", closed()))
        .env("NO_PROXY", "127.0.0.1");
    is(&bypassed, "ok", "accepts connections", "");
    is(
        &to(closed()),
        "problem",
        "does not accept connections",
        "check the network",
    );
    let nowhere = home().env("CURSOR_API_ENDPOINT", "https://nowhere.invalid");
    is(
        &nowhere,
        "problem",
        "the name nowhere.invalid cannot be resolved",
        "check the network",
    );
}

#[test]
fn through_a_proxy() {
    let (_open, addr) = listener();
    let by = |addr: SocketAddr| home().env("HTTPS_PROXY", format!("http://a:secret@{addr}"));
    let words = format!("the proxy for api2.cursor.sh:443, {addr} (HTTPS_PROXY), accepts");
    is(&by(addr), "ok", &words, "");
    is(
        &by(closed()),
        "problem",
        "does not accept connections",
        "the proxy's address",
    );
    let socks = home().env("ALL_PROXY", "socks5://127.0.0.1:1");
    is(&socks, "info", "not checked: only the agent can use", "");
}
