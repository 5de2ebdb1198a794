//! The import directions of the crate: every edge between top-level modules must be listed here.
//!
//! A missing edge is usually not a reason to add a line, but a sign that code is in the wrong place.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Who may import whom. `cli` may import everything.
const ALLOWED: &[(&str, &[&str])] = &[
    ("turn", &[]),
    ("account", &["auth"]),
    ("credential", &[]),
    ("threads", &[]),
    ("sandbox", &["credential", "threads"]),
    (
        "agent",
        &["credential", "file", "mcp", "sandbox", "threads", "turn"],
    ),
    ("replay", &["agent", "sandbox", "turn"]),
    ("models", &["file", "threads"]),
    ("opencode", &["file", "models"]),
    ("auth", &["agent", "credential", "sandbox"]),
    ("clients", &["models", "opencode"]),
    ("service", &[]),
    (
        "settings",
        &[
            "agent",
            "boundary",
            "engine",
            "hands",
            "sandbox",
            "telemetry",
        ],
    ),
    ("telemetry", &[]),
    ("dump", &[]),
    ("file", &[]),
    ("mcp", &["threads", "turn"]),
    ("prompt", &["turn"]),
    ("hands", &["file", "sandbox", "threads", "turn"]),
    ("dialect", &["models", "threads", "turn"]),
    ("boundary", &["turn", "agent"]),
    (
        "doctor",
        &[
            "account", "agent", "auth", "http", "models", "opencode", "sandbox", "settings",
            "threads",
        ],
    ),
    (
        "engine",
        &[
            "prompt", "agent", "boundary", "hands", "models", "dump", "threads", "turn",
        ],
    ),
    ("history", &["threads"]),
    (
        "http",
        &[
            "dialect", "dump", "engine", "history", "models", "threads", "turn",
        ],
    ),
];

/// What `boundary` may take from `agent`: its events, and nothing that runs anything.
const AGENT_EVENTS: &[&str] = &[
    "AgentEvent",
    "CallKey",
    "LazyJson",
    "NativeCall",
    "NativeOutcome",
    "RunResult",
    "Session",
];

#[test]
fn imports_go_one_way() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed: BTreeMap<&str, BTreeSet<&str>> = ALLOWED
        .iter()
        .map(|(from, to)| (*from, to.iter().copied().collect()))
        .collect();
    let mut wrong = Vec::new();
    for file in rust_files(&src) {
        let from = module_of(&src, &file);
        if matches!(from.as_str(), "cli" | "main" | "lib") {
            continue;
        }
        let Some(allowed) = allowed.get(from.as_str()) else {
            wrong.push(format!("module `{from}` has no line in ALLOWED"));
            continue;
        };
        for path in imports(&fs::read_to_string(&file).unwrap()) {
            let to = path.split("::").next().unwrap();
            if to != from && !allowed.contains(to) {
                wrong.push(format!("{}: {from} -> {to}", file.display()));
            }
            let item = path.split("::").nth(1).unwrap_or_default();
            if from == "boundary" && to == "agent" && !AGENT_EVENTS.contains(&item) {
                wrong.push(format!("{}: boundary uses agent::{item}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_render_prints() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in rust_files(&src) {
        let text = fs::read_to_string(&file).unwrap();
        let prints = ["println!(", "print!(", "eprintln!(", "eprint!("]
            .iter()
            .any(|name| text.contains(name));
        assert!(
            !prints || file.ends_with("cli/render/mod.rs"),
            "{} prints",
            file.display()
        );
    }
}

/// Types inside functions and test modules are indented, and not meant.
#[test]
fn a_type_name_means_one_thing() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in rust_files(&src) {
        let shown = file.strip_prefix(&src).unwrap().display().to_string();
        if shown.contains("tests") {
            continue;
        }
        for name in fs::read_to_string(&file)
            .unwrap()
            .lines()
            .filter_map(type_name)
        {
            places
                .entry(name.to_owned())
                .or_default()
                .push(shown.clone());
        }
    }
    let doubled: Vec<String> = places
        .iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(name, files)| format!("{name}: {}", files.join(", ")))
        .collect();
    assert!(doubled.is_empty(), "{}", doubled.join("\n"));
}

/// The name of the type that a line at the top of a module defines.
fn type_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let mut word = words.next().filter(|_| !line.starts_with(' '))?;
    if word.starts_with("pub") {
        word = words.next()?;
    }
    if !["struct", "enum", "trait", "type"].contains(&word) {
        return None;
    }
    words
        .next()?
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
}

#[test]
fn imports_are_found() {
    let found = imports("use crate::{\n  a::{B, c::D}, e::F,\n};\nfn f() { crate::g::h::i() }");
    assert_eq!(found, ["a::B", "a::c::D", "e::F", "g::h::i"]);
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The top-level module that a file belongs to.
fn module_of(src: &Path, file: &Path) -> String {
    let first = file.strip_prefix(src).unwrap().components().next().unwrap();
    let name = first.as_os_str().to_str().unwrap();
    name.trim_end_matches(".rs").to_owned()
}

/// The paths after `crate::`, groups spelled out.
fn imports(source: &str) -> Vec<String> {
    let code: String = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut paths = Vec::new();
    for (at, marker) in code.match_indices("crate::") {
        expand(&code[at + marker.len()..], String::new(), &mut paths);
    }
    paths
}

/// Reads one path or group from the start of `text`; returns what follows it.
fn expand<'a>(text: &'a str, prefix: String, paths: &mut Vec<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                return after;
            }
            if rest.is_empty() {
                return rest;
            }
            rest = expand(rest, prefix.clone(), paths);
        }
    }
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    // Something we don't read as a path: step over it.
    if end == 0 {
        return text.get(1..).unwrap_or_default();
    }
    let path = if prefix.is_empty() {
        text[..end].to_owned()
    } else {
        format!("{prefix}::{}", &text[..end])
    };
    match text[end..].strip_prefix("::") {
        Some(rest) => expand(rest, path, paths),
        None => {
            paths.push(path);
            &text[end..]
        }
    }
}
