//! The CLI's known sentences, one by one, and the recorded ones if there are any.

use super::*;

/// The class, the message and the rest of an error, for comparison.
fn summary(error: AgentError) -> (&'static str, String) {
    match error {
        AgentError::UsageLimit(message) => ("limit", message),
        AgentError::NotLoggedIn(message) => ("login", message),
        AgentError::RateLimited { message, .. } => ("rate", message),
        AgentError::ContextTooLong(message) => ("context", message),
        AgentError::Refused(message) => ("refused", message),
        AgentError::Failed(message) => ("failed", message),
        AgentError::UnknownModel { model, available } => {
            ("model", format!("{model}: {}", available.join("|")))
        }
        other => ("", other.to_string()),
    }
}

fn of_stderr(stderr: &str) -> (&'static str, String) {
    summary(ending(Ending {
        stderr,
        ..Ending::default()
    }))
}

#[test]
fn sentences() {
    let table = [
        (
            "login",
            "Error: Authentication required. Please run 'agent login' first",
        ),
        (
            "login",
            "⚠ Warning: The provided API key is invalid.\nPlease check",
        ),
        ("login", "T: [unauthenticated] Error"),
        ("limit", "ActionRequiredError: something new"),
        ("limit", "You've hit your usage limit for Opus"),
        (
            "limit",
            "Named models unavailable Free plans can only use Auto.",
        ),
        ("rate", "w: [resource_exhausted] Error"),
        ("rate", "HTTP 429 Too Many Requests"),
        (
            "refused",
            "⚠ Workspace Trust Required\n\n  Pass --trust if you trust this directory",
        ),
        ("refused", "Error: Workspace directory does not exist: /x"),
        (
            "refused",
            "error: unknown option '--fork'\n(Did you mean --force?)",
        ),
        ("refused", "Error: Session ID \"0\" is already in use."),
        ("refused", "T: [permission_denied] no"),
        ("context", "Error: prompt is too long: 250000 tokens"),
    ];
    for (class, text) in table {
        let words = text.lines().filter(|line| !line.is_empty());
        let quoted = words.collect::<Vec<_>>().join("\n");
        assert_eq!(of_stderr(text), (class, quoted.clone()), "{text}");
        assert_eq!(summary(error_result(text)), (class, quoted), "{text}");
        // On stdout, with exit status 0, and behind other lines.
        let noisy = format!("Retry attempt 1...\n{text}");
        let on_stdout = summary(ending(Ending {
            status: Some(ExitStatus::from_raw(0)),
            notes: &noisy,
            ..Ending::default()
        }));
        assert_eq!(on_stdout.0, class, "{text}");
    }
}

#[test]
fn words_that_only_look_like_a_class() {
    for text in [
        "T: [unavailable] Error",
        "T: [deadline_exceeded] Error",
        "T: [internal] Failed to run step, exceeded max retries",
        "RetriableError: [invalid_argument] unknown option '--system-prompt'",
        "Error: ENOENT: no such file or directory, rename 'a.tmp' -> 'a'",
        "src/author.rs:429: cannot authenticate 401",
    ] {
        let (class, message) = of_stderr(text);
        assert_eq!(class, "failed");
        assert!(message.ends_with(text), "{message}");
    }
}

#[test]
fn last_known_sentence_counts() {
    let error =
        of_stderr("w: [resource_exhausted] Error\nError: Authentication required\n    at x");
    assert_eq!(
        error,
        ("login", "Error: Authentication required".to_owned())
    );
    let error = of_stderr("mcp: 401 Unauthorized\nT: [internal] Failed");
    assert_eq!(error, ("failed", "T: [internal] Failed".to_owned()));
    let mirrored = of_stderr("{\"type\":\"assistant\",\"text\":\"usage limit\"}\nboom");
    assert_eq!(mirrored.0, "failed");
}

#[test]
fn models() {
    let line = "Cannot use this model: gpt-5.9[x=1]. Available models: auto, gpt-5.3-codex, b.";
    let expected = ("model", "gpt-5.9[x=1]: auto|gpt-5.3-codex|b".to_owned());
    assert_eq!(of_stderr(line), expected);
    let bare = of_stderr("Error: Cannot use this model: x");
    assert_eq!(bare, ("model", "x: ".to_owned()));
}

#[test]
fn retry_times() {
    let table = [
        ("Too many requests, try again in 2 minutes.", Some(120)),
        ("rate limit: Retry-After: 5", Some(5)),
        ("rate limit; retry after 1500ms", Some(2)),
        ("rate limit; try again in a while", None),
    ];
    for (text, seconds) in table {
        let AgentError::RateLimited { retry_after, .. } = error_result(text) else {
            panic!("{text}");
        };
        assert_eq!(retry_after, seconds.map(Duration::from_secs), "{text}");
    }
}

#[test]
fn silent_ends() {
    let message = |raw: Option<i32>, skipped| {
        let status = raw.map(ExitStatus::from_raw);
        summary(ending(Ending {
            status,
            skipped,
            ..Ending::default()
        }))
        .1
    };
    assert_eq!(
        message(Some(0), 0),
        "the agent ended without a result; its stderr is empty"
    );
    assert_eq!(
        message(Some(7 << 8), 0),
        "the agent ended with exit status 7 and no result; its stderr is empty"
    );
    assert_eq!(
        message(Some(9), 0),
        "the agent was killed by signal 9; its stderr is empty"
    );
    assert_eq!(
        message(Some(25), 0),
        "the agent was ended: a file that it wrote became too long (--agent-disk); its stderr is \
         empty"
    );
    assert_eq!(
        message(None, 2),
        "the agent closed its output without a result (2 of its lines were too long to read); its stderr is empty"
    );
    assert_eq!(
        summary(error_result(" ")).1,
        "the agent reported an error without saying which"
    );
}

#[test]
fn quotes_are_short_and_redacted() {
    let (_, message) = of_stderr(&"é".repeat(5000));
    assert!(message.len() < QUOTE + 100 && message.ends_with('…'));
    assert_eq!(
        summary(error_result("bad key_0123456789")).1,
        "bad [redacted]"
    );
}

/// Every recorded sentence. `OPEN_CURSOR_RECORDINGS` names the directory of the recordings.
#[test]
#[ignore = "needs recordings of the real CLI: set OPEN_CURSOR_RECORDINGS to their directory"]
fn recorded_sentences() {
    let root = std::env::var_os("OPEN_CURSOR_RECORDINGS").unwrap();
    let expected = [
        (
            "failed",
            "cli-config-rename internal-max reconnecting retriable-invalid sigint init-then two-objects worktree-line",
        ),
        ("login", "auth-required invalid-api-key not-logged-in"),
        ("model", "invalid-model"),
        ("limit", "named-models usage-limit"),
        ("rate", "resource-exhausted"),
        (
            "refused",
            "allowed-tools base-url no-previous session-id unknown-option workspace-",
        ),
    ];
    let mut seen = 0;
    for folder in ["stderr", "mixed"] {
        for entry in std::fs::read_dir(std::path::Path::new(&root).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let (class, _) = *expected
                .iter()
                .find(|(_, names)| names.split(' ').any(|start| name.starts_with(start)))
                .unwrap_or_else(|| panic!("no expectation for {name}"));
            assert_eq!(of_stderr(&text).0, class, "{name}");
            seen += 1;
        }
    }
    assert!(seen > 20);
}
