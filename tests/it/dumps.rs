use open_cursor::dump::Dumps;

use crate::support::{TestServer, user, wait_until};

#[tokio::test]
async fn a_turn_leaves_all_four_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dumps");
    let dumps = Dumps::open(&path, 10).unwrap();
    let server = TestServer::with(|setup| setup.http.dumps = Some(dumps)).await;
    server.stream(&user("fake-ok", "find me")).await;
    server.whole(&user("fake-ok", "find me")).await;
    server.whole(&user("fake-crash", "find me")).await;
    let read = |turn: usize, file: &str| {
        let mut turns: Vec<_> = std::fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        turns.sort();
        let file = turns.get(turn)?.join(file);
        std::fs::read_to_string(file).ok()
    };
    wait_until("the last piece", || read(2, "response.txt").is_some()).await;
    for (turn, end) in [(0, "data: [DONE]\n\n"), (1, "}\n"), (2, "}\n")] {
        assert!(read(turn, "request.json").unwrap().contains("find me"));
        assert!(read(turn, "prompt.txt").unwrap().contains("find me"));
        assert!(read(turn, "response.txt").unwrap().ends_with(end));
    }
    let events = read(0, "events.ndjson").unwrap();
    let types: Vec<String> = events
        .lines()
        .map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            event["type"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(types.first().unwrap(), "system");
    assert_eq!(types.last().unwrap(), "result");
    assert!(read(2, "response.txt").unwrap().contains("agent_failed"));
}
