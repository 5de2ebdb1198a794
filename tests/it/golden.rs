//! Each case of `fixtures/turns` holds a request and what the agent prints; the prompt, the stream
//! and the whole answer must be as recorded. `OPEN_CURSOR_BLESS=1` records them anew.

use std::{
    fs,
    path::{Path, PathBuf},
};

use open_cursor::{
    dialect::{DIALECTS, Stamp},
    prompt,
};
use serde_json::Value;

use crate::support::TestServer;

#[tokio::test]
async fn golden_cases() {
    let server = TestServer::start().await;
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/turns");
    let mut cases: Vec<PathBuf> = fs::read_dir(cases)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 14, "{cases:?}");
    let mut wrong = Vec::new();
    for case in cases {
        let request = fs::read(case.join("request.json")).unwrap();
        let stamp = Stamp {
            id: "1".to_owned(),
            created: 1,
        };
        let turn = DIALECTS[0].decode(&request, stamp).unwrap().turn;
        compare(
            &case.join("prompt.txt"),
            &prompt::render(&turn, &[]),
            &mut wrong,
        );

        let mut request: Value = serde_json::from_slice(&request).unwrap();
        let model = request["model"].as_str().unwrap().to_owned();
        server.play(&case.join("agent.ndjson"));
        request["model"] = "fake-play".into();
        let workspace = server.workspace.path().canonicalize().unwrap();
        let normal = |body: &str| {
            let body = body
                .replace("fake-play", &model)
                .replace(workspace.to_str().unwrap(), "/workspace");
            number_ids(&body)
        };
        for (file, stream) in [("response.sse", true), ("response.json", false)] {
            request["stream"] = stream.into();
            let answer = server.whole(&request).await;
            let recorded = format!("{} {}", answer.status, normal(&answer.body));
            compare(&case.join(file), &recorded, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn compare(file: &Path, found: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("OPEN_CURSOR_BLESS").is_some() {
        fs::write(file, found).unwrap();
        return;
    }
    let wanted = fs::read_to_string(file).unwrap_or_default();
    if wanted != found {
        wrong.push(format!(
            "{}:\nwanted: {wanted}\nfound:  {found}",
            file.display()
        ));
    }
}

/// Replaces what differs from run to run: the answer's id and time, and the ids of calls.
fn number_ids(body: &str) -> String {
    let body = replace_each(
        body,
        "chatcmpl-",
        |c| c.is_ascii_alphanumeric(),
        |_| "ID".to_owned(),
    );
    let body = replace_each(
        &body,
        "\"created\":",
        |c| c.is_ascii_digit(),
        |_| "0".to_owned(),
    );
    let mut seen: Vec<String> = Vec::new();
    replace_each(
        &body,
        "call_",
        |c| c.is_ascii_alphanumeric() || c == '_',
        |id| {
            if !id.chars().any(|c| c.is_ascii_digit()) {
                return id.to_owned();
            }
            let at = seen
                .iter()
                .position(|other| other == id)
                .unwrap_or_else(|| {
                    seen.push(id.to_owned());
                    seen.len() - 1
                });
            (at + 1).to_string()
        },
    )
}

fn replace_each(
    text: &str,
    marker: &str,
    belongs: fn(char) -> bool,
    mut new: impl FnMut(&str) -> String,
) -> String {
    let mut parts = text.split(marker);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c| !belongs(c)).unwrap_or(part.len());
        out += marker;
        out += &new(&part[..end]);
        out += &part[end..];
    }
    out
}
