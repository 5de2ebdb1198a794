use std::path::Path;

use super::*;

fn file(text: &str) -> Result<ConfigFile, SettingsError> {
    ConfigFile::parse(Path::new("/c.toml"), text)
}

fn none(_: &str) -> Option<String> {
    None
}

#[test]
fn flags_beat_the_environment_which_beats_the_file_which_beats_defaults() {
    let flags = Flags::from([("port", "1".to_owned())]);
    let env = |name: &str| (name == "PORT").then(|| "2".to_owned());
    let empty = |_: &str| Some(String::new());
    let written = file("\nport = 3").unwrap();
    let blank = ConfigFile::default();
    // (flags, environment, file, port, origin)
    let table: [(Flags, Lookup<'_>, _, _, _); 5] = [
        (flags, &env, &written, 1, "--port"),
        (Flags::new(), &env, &written, 2, "PORT"),
        (Flags::new(), &empty, &written, 3, "/c.toml:2"),
        (Flags::new(), &none, &written, 3, "/c.toml:2"),
        (Flags::new(), &empty, &blank, 32124, "default"),
    ];
    let at = ROWS.iter().position(|row| row.name == "port").unwrap();
    for (flags, env, file, port, origin) in table {
        let resolved = Resolved::new(&flags, env, file).unwrap();
        assert_eq!(resolved.settings.port, port);
        assert_eq!(resolved.found[at].origin.to_string(), origin);
    }
}

#[test]
fn a_bad_value_is_named_by_where_it_is_from() {
    let env = |name: &str| (name == "PORT").then(|| "many".to_owned());
    let error = Resolved::new(&Flags::new(), &env, &ConfigFile::default()).unwrap_err();
    assert_eq!(error.name, "PORT");
    assert!(error.reason.contains("many"), "{error}");
}

#[test]
fn a_bad_file_is_named_with_its_line() {
    for (text, expected) in [
        (
            "# a\nprot = 1",
            "/c.toml:2: there is no setting `prot`; did you mean `port`?",
        ),
        (
            "frobnicate = 1",
            "/c.toml:1: there is no setting `frobnicate`; there are host, port",
        ),
        (
            "\n\nport = \"many\"",
            "/c.toml:3: `port`: `many` can't be used",
        ),
        ("port = 70000", "/c.toml:1: `port`: `70000` can't be used"),
        ("port = [1]", "/c.toml:1: `port` takes a text"),
        ("port = 1\nport = 2", "/c.toml:2: "),
        ("port = 1\nhost", "/c.toml:2: "),
        (
            "[server]\nport = 1",
            "/c.toml:1: there is no setting `server`",
        ),
    ] {
        let error = file(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn every_default_is_a_value_and_every_name_is_used_once() {
    let mut names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
    names.extend(ROWS.iter().filter_map(|row| row.env));
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    for row in ROWS {
        assert_eq!(
            row.default.map_or(Ok(()), row.check),
            Ok(()),
            "{}",
            row.name
        );
    }
    assert!(Resolved::new(&Flags::new(), &none, &ConfigFile::default()).is_ok());
}

#[test]
fn the_readme_has_a_line_for_every_setting() {
    let readme = include_str!("../cli/topics/settings.md");
    for row in ROWS {
        let value = row.value_name.replace('|', "\\|");
        let begin = format!("| `--{} {value}`", row.name);
        let line = readme.lines().find(|line| line.starts_with(&begin));
        let line = line.unwrap_or_else(|| unreachable!("src/cli/topics/settings.md lacks {begin}"));
        for text in row.env.iter().chain(&row.default) {
            assert!(line.contains(&format!("`{text}`")), "{line} lacks {text}");
        }
    }
}

#[test]
fn the_digest_tells_what_changes_answers() {
    let digest = |flags: &[(&'static str, &str)]| {
        let flags = flags.iter().map(|(name, text)| (*name, (*text).to_owned()));
        let resolved = Resolved::new(&flags.collect(), &none, &ConfigFile::default());
        resolved.unwrap().digest()
    };
    assert_eq!(
        digest(&[]),
        digest(&[
            ("port", "1"),
            ("log-level", "debug"),
            ("idle-timeout", "600")
        ])
    );
    assert_ne!(digest(&[]), digest(&[("idle-timeout", "601")]));
    assert_ne!(
        digest(&[("idle-timeout", "1")]),
        digest(&[("agent-timeout", "1")])
    );
}
