use crate::support::{Home, golden};

/// A CLI that answers `status` and remembers how it was called.
const CLI: &str = r#"#!/bin/sh
case "$1" in
status) [ "$2" = --format ] && cat "$HOME/status.json" ;;
login | logout) echo "$1: browser ${NO_OPEN_BROWSER-yes}, key ${CURSOR_API_KEY-none}"; exit 3 ;;
esac
"#;

fn home(status: &str) -> Home {
    let home = Home::new();
    home.program("cursor-agent", CLI);
    std::fs::write(home.path().join("status.json"), status).unwrap();
    home
}

const IN: &str = r#"{"isAuthenticated": true, "userInfo": {"email": "someone@example.org"}}"#;
const OUT: &str = r#"{"isAuthenticated": false}"#;
/// Has no `exp`, so that no test depends on the day.
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJodHRwczovL2V4YW1wbGUub3JnIn0.c2lnbmF0dXJl";
const EXPIRED: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOiAxMDAwMDAwfQ.c2lnbmF0dXJl";

#[test]
fn who_pays() {
    let home = home(IN);
    let dir = home.path().join(".config/cursor");
    std::fs::create_dir_all(&dir).unwrap();
    let file = format!(r#"{{"accessToken": "{TOKEN}", "refreshToken": "secret-refresh"}}"#);
    std::fs::write(dir.join("auth.json"), file).unwrap();
    let mut text = home.transcript(&["auth", "status"]);
    let home = home.env(
        "CURSOR_ACCESS_TOKEN",
        "crsr_0123456789abcdef0123456789abcdef",
    );
    text += &home.transcript(&["auth", "status", "--json"]);
    for secret in [TOKEN, "secret-refresh", "0123456789"] {
        assert!(!text.contains(secret), "{text}");
    }
    golden("auth-status.txt", &text);
}

#[test]
fn no_login_is_exit_code_1() {
    let mut text = home(OUT).transcript(&["auth", "status"]);
    let expired = home(OUT).env("CURSOR_AUTH_TOKEN", EXPIRED);
    let shown = expired.transcript(&["auth", "status"]);
    assert!(
        shown.contains("warning: CURSOR_AUTH_TOKEN has expired"),
        "{shown}"
    );
    text += &Home::new()
        .env("CURSOR_AGENT_EXECUTABLE", "/none/such")
        .transcript(&["auth", "status", "--json"]);
    golden("auth-status-out.txt", &text);
}

#[test]
fn login_and_logout_are_the_clis_own() {
    let home = home(OUT).env("CURSOR_API_KEY", "");
    let mut text = String::new();
    for args in [&["login"][..], &["login", "--no-browser"], &["logout"]] {
        text += &home.transcript(args);
    }
    let home = home.env("CURSOR_AUTH_TOKEN", TOKEN);
    text += &home.transcript(&["logout"]);
    golden("login.txt", &text);
}
