use std::path::{Path, PathBuf};

use futures::future::join_all;
use open_cursor::engine::{AdmissionLimits, Workspaces};
use serde_json::{Value, json};

use crate::support::{TestServer, user};

/// A server without a directory of its own, and two projects under its base.
async fn open(limits: AdmissionLimits) -> (TestServer, PathBuf, [PathBuf; 2]) {
    let root = std::env::temp_dir().canonicalize().unwrap();
    let base = tempfile::tempdir_in(root).unwrap().keep();
    let projects = ["one", "two"].map(|name| base.join(name));
    for project in &projects {
        std::fs::create_dir(project).unwrap();
    }
    let server = TestServer::with(|setup| {
        setup.engine.limits = limits;
        setup.engine.workspaces = Workspaces {
            fixed: None,
            bases: vec![base.clone()],
            from_prompt: true,
        };
    })
    .await;
    (server, base, projects)
}

/// Sends a request with the header, if any: the status, and the answer's text or the error.
async fn send(server: &TestServer, header: Option<&Path>, body: &Value) -> (u16, String) {
    let headers = header.map(|dir| ("x-cursor-workspace", dir.to_str().unwrap()));
    let answer = server.whole_with(headers.as_slice(), body).await;
    let (status, body) = (answer.status, answer.json());
    let text = match status {
        200 => &body["choices"][0]["message"]["content"],
        _ => &body["error"]["message"],
    };
    (status, text.as_str().unwrap().to_owned())
}

/// The directory that the agent found itself in, which must be the one it was told.
async fn works_in(server: &TestServer, header: Option<&Path>, body: &Value) -> PathBuf {
    let (status, text) = send(server, header, body).await;
    assert_eq!(status, 200, "{text}");
    let seen: Value = serde_json::from_str(&text).unwrap();
    let cwd = seen["cwd"].as_str().unwrap();
    let argv: Vec<&str> = seen["argv"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arg| arg.as_str().unwrap())
        .collect();
    let at = argv.iter().position(|arg| *arg == "--workspace").unwrap();
    assert_eq!(argv[at + 1], cwd);
    cwd.into()
}

fn env(project: &Path) -> Value {
    let mut body = user("fake-argv", "hi");
    let prompt = format!("<env>\n  Working directory: {}\n</env>", project.display());
    body["messages"]
        .as_array_mut()
        .unwrap()
        .insert(0, json!({"role": "system", "content": prompt}));
    body
}

#[tokio::test]
async fn header_then_body_then_prompt_then_an_empty_directory() {
    let (server, base, [one, two]) = open(AdmissionLimits::default()).await;
    let mut body = env(&one);
    assert_eq!(works_in(&server, None, &body).await, one);
    body["cursorWorkspace"] = json!(two);
    assert_eq!(works_in(&server, None, &body).await, two);
    assert_eq!(works_in(&server, Some(&one), &body).await, one);

    let first = works_in(&server, None, &user("fake-argv", "hi")).await;
    assert!(!first.starts_with(&base), "{}", first.display());
    assert_eq!(std::fs::read_dir(&first).unwrap().count(), 0);
    // Cursor remembers directories by their paths, so there are only a few.
    let slots = first.parent().and_then(Path::parent).unwrap();
    for _ in 0..20 {
        let again = works_in(&server, None, &user("fake-argv", "hi")).await;
        let slot = again.strip_prefix(slots).unwrap();
        assert!(slot.ends_with("workspace"), "{}", again.display());
        let number: usize = slot.parent().unwrap().to_str().unwrap().parse().unwrap();
        assert!(number < 8, "{number}");
    }
    std::fs::remove_dir_all(base).unwrap();
}

#[tokio::test]
async fn roots_and_strange_directories_are_a_400() {
    let (server, base, _) = open(AdmissionLimits::default()).await;
    for (path, why) in [
        ("/", "root of the file system"),
        ("/none/such", "can't be used"),
        ("/usr", "--workspace-base"),
        ("relative", "absolute"),
    ] {
        let body = user("fake-argv", "hi");
        let (status, error) = send(&server, Some(Path::new(path)), &body).await;
        assert_eq!(status, 400, "{path}");
        assert!(error.contains(why) && error.contains(path), "{error}");
    }
    std::fs::remove_dir_all(base).unwrap();
}

#[tokio::test]
async fn two_projects_never_mix() {
    let limits = AdmissionLimits {
        running: 4,
        ..AdmissionLimits::default()
    };
    let (server, base, projects) = open(limits).await;
    // What the agent sees, and where its file is to be made, turn by turn and side by side.
    let turns = (0..24).map(|n| {
        let (server, project) = (&server, &projects[n % 2]);
        async move {
            assert_eq!(&works_in(server, Some(project), &user("fake-argv", "hi")).await, project);
            let mut body = user("fake-write", "hi");
            body["cursorWorkspace"] = json!(project);
            body["tools"] = json!([{"type": "function", "function": {"name": "write", "parameters": {
                "type": "object", "required": ["filePath", "content"],
                "properties": {"filePath": {"type": "string"}, "content": {"type": "string"}},
            }}}]);
            let stream = server.stream(&body).await;
            for (_, arguments) in stream.calls() {
                let path = PathBuf::from(arguments["filePath"].as_str().unwrap());
                assert!(path.starts_with(project), "{}", path.display());
            }
            assert_eq!(stream.calls().len(), 1);
        }
    });
    join_all(turns).await;
    std::fs::remove_dir_all(base).unwrap();
}
