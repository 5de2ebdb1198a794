//! `doctor --deep` on good and bad networks.

use std::net::{SocketAddr, TcpListener};

use serde_json::Value;

use crate::support::{
    Home,
    tls::{Manner, Tls, proxy},
};

const CURSOR: &str = "api2.cursor.sh:443";

/// A home with an agent that answers nothing.
fn home() -> Home {
    let home = Home::new().env("CURSOR_ACP_FENCE", "off");
    home.program("cursor-agent", "#!/bin/sh\n");
    home
}

fn trusting(home: Home, pem: &str) -> Home {
    let file = home.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    home.env("NODE_EXTRA_CA_CERTS", file)
}

/// Severity, message and hint of the check, without the time that it took.
fn network(home: &Home) -> [String; 3] {
    let ended = home.run(&["doctor", "--deep", "--no-chat", "--json"]);
    let value: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let findings = value["findings"].as_array().unwrap();
    let found = findings.iter().find(|it| it["check"] == "network").unwrap();
    ["severity", "message", "hint"].map(|key| found[key].as_str().unwrap_or_default().to_owned())
}

fn url(addr: SocketAddr) -> String {
    format!("http://{addr}")
}

fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

fn is(home: &Home, severity: &str, message: &str, hint: &str) {
    let found = network(home);
    assert!(
        found[0] == severity && found[1].contains(message) && found[2].contains(hint),
        "{found:?}"
    );
}

#[test]
fn a_certificate_that_the_cli_trusts() {
    let tls = Tls::start("127.0.0.1");
    let home = home().env("CURSOR_API_ENDPOINT", format!("https://{}", tls.addr));
    is(
        &home,
        "problem",
        "its issuer is not known",
        "set NODE_EXTRA_CA_CERTS to the file",
    );
    let other = trusting(home, &Tls::start("127.0.0.1").ca);
    is(
        &other,
        "problem",
        "its issuer is not known",
        "not among those in NODE_EXTRA_CA_CERTS",
    );
    let home = trusting(other, &tls.ca);
    is(
        &home,
        "ok",
        &format!("{} answers, its certificate is trusted", tls.addr),
        "",
    );
}

#[test]
fn a_certificate_that_is_not_of_the_host_or_not_of_today() {
    for (tls, words) in [
        (Tls::start("other.test"), "made for another host"),
        (Tls::valid_until("127.0.0.1", 2020), "expired"),
    ] {
        let home = home().env("CURSOR_API_ENDPOINT", format!("https://{}", tls.addr));
        is(&trusting(home, &tls.ca), "problem", words, "");
    }
}

#[test]
fn a_file_of_certificates_that_is_none() {
    let tls = Tls::start("127.0.0.1");
    let home = home().env("CURSOR_API_ENDPOINT", format!("https://{}", tls.addr));
    let home = trusting(home, "no PEM");
    is(&home, "problem", "not known", "holds no certificate");
    let home = home.env("NODE_EXTRA_CA_CERTS", "/nowhere.pem");
    is(
        &home,
        "problem",
        "not known",
        "(/nowhere.pem) can't be read",
    );
}

#[test]
fn by_a_proxy_that_alone_knows_the_name() {
    let tls = Tls::start("api2.cursor.sh");
    let header = "Proxy-Authorization: Basic YTpi\r\n";
    let addr = proxy(CURSOR, Manner::Forward(tls.addr, Some(header)));
    let home = trusting(home(), &tls.ca);
    let home = home.env("HTTPS_PROXY", format!("http://a:b@{addr}"));
    let words = format!("{CURSOR} answers by the proxy {addr} (HTTPS_PROXY)");
    is(&home, "ok", &words, "");
    let home = home.env("HTTPS_PROXY", url(addr));
    is(
        &home,
        "problem",
        "refuses: 407 Proxy Authentication Required",
        "NAME:PASSWORD",
    );
}

#[test]
fn an_exception_is_reached_without_the_proxy() {
    let tls = Tls::start("127.0.0.1");
    let home = home()
        .env("CURSOR_API_ENDPOINT", format!("https://{}", tls.addr))
        .env("HTTPS_PROXY", url(closed()))
        .env("NO_PROXY", "127.0.0.1");
    is(&trusting(home, &tls.ca), "ok", "answers, its", "");
}

#[test]
fn what_goes_wrong_on_the_way_is_told_apart() {
    let direct = |addr: SocketAddr| home().env("CURSOR_API_ENDPOINT", format!("https://{addr}"));
    is(
        &direct(closed()),
        "problem",
        "takes no connection",
        "check the network",
    );
    let plain = proxy("", Manner::Answer("HTTP/1.1 400 Bad Request\r\n\r\n"));
    is(&direct(plain), "problem", "no TLS", "");
    let nowhere = home().env("CURSOR_API_ENDPOINT", "https://nowhere.invalid");
    is(&nowhere, "problem", "the name", "check the network");

    let by = |addr: SocketAddr| home().env("HTTPS_PROXY", url(addr));
    is(
        &by(closed()),
        "problem",
        "takes no connection",
        "the proxy's address",
    );
    let forbids = proxy(CURSOR, Manner::Answer("HTTP/1.1 403 Forbidden\r\n\r\n"));
    is(
        &by(forbids),
        "problem",
        "it refuses: 403 Forbidden",
        "ask who runs the proxy",
    );
    let none = proxy(CURSOR, Manner::Answer("220 mail.test ESMTP\r\n\r\n"));
    is(
        &by(none),
        "problem",
        "does not answer like one: `220 mail",
        "the proxy's address",
    );
    is(
        &by(proxy(CURSOR, Manner::Silent)),
        "problem",
        "no answer of the proxy within",
        "",
    );
    let socks = home().env("ALL_PROXY", "socks5://127.0.0.1:1");
    is(&socks, "info", "not checked: the proxy of ALL_PROXY", "");
}
