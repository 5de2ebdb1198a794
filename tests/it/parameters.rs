use std::path::Path;

use open_cursor::dialect::{self, Treatment};
use serde_json::json;

use crate::support::{TestServer, wire::requests};

#[tokio::test]
async fn what_is_ignored_is_said() {
    let server = TestServer::start().await;
    for (wire, mut request) in requests("fake-ok") {
        let answer = server.ask(wire, &request).await;
        assert!(
            answer.headers.get("x-open-cursor-ignored").is_none(),
            "{}",
            wire.path()
        );
        let ignored = match wire.name() {
            "gemini" => {
                request["generationConfig"]["temperature"] = json!(0);
                "generationConfig.temperature, new_thing_"
            }
            _ => {
                request["temperature"] = json!(0);
                "temperature, new_thing_"
            }
        };
        request["new_thing_"] = json!(1);
        for stream in [true, false] {
            request["stream"] = stream.into();
            let answer = server.ask(wire, &request).await;
            assert_eq!(answer.headers["x-open-cursor-ignored"], ignored);
        }
    }
}

#[tokio::test]
async fn parameters_are_listed() {
    let server = TestServer::start().await;
    let list = server.get("/v1/parameters").await.json();
    for (dialect, listed) in dialect::all(0).iter().zip(list["data"].as_array().unwrap()) {
        assert_eq!(listed["path"], dialect.path());
        let names: Vec<&str> = dialect.parameters().into_iter().map(|p| p.name).collect();
        let listed = listed["parameters"].as_array().unwrap();
        assert_eq!(listed.len(), names.len());
        for (name, listed) in names.iter().zip(listed) {
            assert_eq!(listed["name"], *name);
            assert!(listed["treatment"].is_string());
        }
        let model = names.iter().filter(|name| **name == "model").count();
        assert_eq!(model, 1, "{names:?}");
    }
}

/// One row for each dialect and treatment.
fn table() -> String {
    let mut table = "\n| endpoint | | |\n|---|---|---|\n".to_owned();
    for dialect in dialect::all(0) {
        for (treatment, title) in [
            (Treatment::Honoured, "honoured"),
            (Treatment::Accepted, "accepted, without effect"),
            (Treatment::Ignored, "ignored and named"),
            (Treatment::Refused, "refused"),
        ] {
            let rows = dialect.parameters().into_iter();
            let names: Vec<String> = rows
                .filter(|row| row.treatment == treatment)
                .map(|row| format!("`{}`", row.name))
                .collect();
            if !names.is_empty() {
                let path = dialect.path();
                table += &format!("| `{path}` | {title} | {} |\n", names.join(", "));
            }
        }
    }
    table
}

#[test]
fn the_readme_shows_the_table() {
    const MARKER: &str = "the_readme_shows_the_table` -->\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/topics/endpoints.md");
    let readme = std::fs::read_to_string(&file).unwrap();
    let (head, rest) = readme.split_once(MARKER).unwrap();
    let (shown, tail) = rest.split_once("\n<!-- /parameters -->").unwrap();
    if std::env::var_os("OPEN_CURSOR_BLESS").is_some() {
        let new = format!("{head}{MARKER}{}\n<!-- /parameters -->{tail}", table());
        std::fs::write(file, new).unwrap();
        return;
    }
    assert_eq!(shown, table(), "OPEN_CURSOR_BLESS=1 writes it anew");
}
