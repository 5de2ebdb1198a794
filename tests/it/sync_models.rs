use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use open_cursor::models::{Listing, ListingOrigin, parse};
use open_cursor::opencode::{
    ConfigError, ConfigTarget, DesiredProvider, Layout, ModelOptions, commit, inspect, remove,
};
use serde_json::{Value, json};

mod kept;
mod killed;
mod properties;

pub(super) const LIST: &str = include_str!("../../fixtures/opencode/models.txt");

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/opencode")
}

pub(super) fn options(shape: Layout) -> ModelOptions {
    ModelOptions {
        provider: "cursor-acp".into(),
        base_url: "http://127.0.0.1:32124/v1".into(),
        api_key: None,
        shape,
    }
}

pub(super) fn wish(list: &str, options: &ModelOptions) -> DesiredProvider {
    DesiredProvider::new(&Listing::live(&parse(list).unwrap()), options)
}

/// A directory with a configuration and our state.
pub(super) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(super) fn new(config: Option<&[u8]>) -> Self {
        let place = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        if let Some(config) = config {
            fs::write(place.config(), config).unwrap();
        }
        place
    }

    pub(super) fn config(&self) -> PathBuf {
        self.directory
            .path()
            .canonicalize()
            .unwrap()
            .join("opencode.jsonc")
    }

    pub(super) fn target(&self) -> ConfigTarget {
        ConfigTarget {
            config: self.config(),
            state_dir: self.directory.path().join("state"),
        }
    }

    pub(super) fn text(&self) -> String {
        fs::read_to_string(self.config()).unwrap()
    }

    /// The names beside the configuration and our state.
    fn others(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: BTreeSet<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.remove("opencode.jsonc");
        names.remove("state");
        names
    }
}

#[test]
fn golden_configurations() {
    let mut seen = 0;
    for case in fs::read_dir(fixtures()).unwrap() {
        let case = case.unwrap().path();
        if case.is_dir() {
            golden(&case);
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
}

fn golden(case: &Path) {
    let name = case.file_name().unwrap().display();
    let before = fs::read(case.join("before.jsonc")).ok();
    let after = fs::read_to_string(case.join("after.jsonc")).unwrap();
    let expected: Value =
        serde_json::from_slice(&fs::read(case.join("case.json")).unwrap()).unwrap();
    let flag = |name: &str| expected[name].as_bool().unwrap_or(false);
    let shape = match (flag("variants"), flag("compact")) {
        (false, _) => Layout::Plain,
        (true, false) => Layout::Variants,
        (true, true) => Layout::Compact,
    };
    let wish = wish(LIST, &options(shape));

    let place = Place::new(before.as_deref());
    let target = place.target();
    if let Ok(record) = fs::read(case.join("record.json")) {
        let record: Value = serde_json::from_slice(&record).unwrap();
        let record = json!({place.config().to_str().unwrap(): {"cursor-acp": [record]}});
        fs::create_dir_all(&target.state_dir).unwrap();
        fs::write(target.state_dir.join("opencode.json"), record.to_string()).unwrap();
    }

    let planned = commit(&target, &wish, true).unwrap();
    assert_eq!(
        fs::read(place.config()).ok(),
        before,
        "{name}: a preview writes nothing"
    );
    assert!(
        place.others().is_empty(),
        "{name}: a preview leaves nothing behind"
    );

    let done = commit(&target, &wish, false).unwrap();
    assert_eq!(place.text(), after, "{name}");
    assert_eq!(done.plan, planned.plan, "{name}: the preview was right");
    assert_eq!(json!(done.plan.summary), expected["summary"], "{name}");
    assert_eq!(json!(done.plan.kept), expected["kept"], "{name}");
    let backup = done.backup.as_ref().map(|backup| fs::read(backup).unwrap());
    assert_eq!(backup, before, "{name}: the backup is what was there");

    let others = place.others();
    let again = commit(&target, &wish, false).unwrap();
    assert_eq!(
        again.plan.edits,
        [],
        "{name}: the second run has nothing to do"
    );
    assert_eq!(
        place.text(),
        after,
        "{name}: the second run changes nothing"
    );
    assert_eq!(
        (again.backup, place.others()),
        (None, others),
        "{name}: and leaves no backup"
    );
}

#[test]
fn invalid_files_are_refused_with_their_place_and_left_alone() {
    let wish = wish(LIST, &options(Layout::Plain));
    let fails = |text: &str| {
        let place = Place::new(Some(text.as_bytes()));
        let error = commit(&place.target(), &wish, false).unwrap_err();
        assert_eq!(place.text(), text);
        assert!(place.others().is_empty());
        error
    };
    for (text, place) in [
        ("{\n  \"a\": 1\n  \"b\": 2\n}", (2, 9)),
        ("{ 'a': 1 }", (1, 3)),
        ("{\n  \"ä\": {]\n}", (2, 9)),
        ("{} {}", (1, 4)),
        ("\u{feff}{\n\"a\": +1}", (2, 6)),
    ] {
        match fails(text) {
            ConfigError::Syntax { line, column, .. } => assert_eq!((line, column), place, "{text}"),
            other => panic!("{text}: {other}"),
        }
    }
    for (text, key) in [
        ("[]", "the whole"),
        ("{\"provider\": []}", "provider"),
        ("{\"provider\": {\"cursor-acp\": 1}}", "provider.cursor-acp"),
        (
            "{\"provider\": {\"cursor-acp\": {\"models\": null}}}",
            "provider.cursor-acp.models",
        ),
    ] {
        match fails(text) {
            ConfigError::Layout { key: found, .. } => assert_eq!(found, key, "{text}"),
            other => panic!("{text}: {other}"),
        }
    }
    // The reader takes the last of two, an editor the first: neither is safe to guess.
    let twice = "{\"provider\": {\"cursor-acp\": {\"name\": \"a\"}, \"cursor-acp\": {}}}";
    assert!(matches!(fails(twice), ConfigError::Unsafe { .. }));
    let bytes = b"{\"a\": \"\xff\"}";
    let place = Place::new(Some(bytes));
    assert!(matches!(
        commit(&place.target(), &wish, false),
        Err(ConfigError::Io { .. })
    ));
    assert_eq!(fs::read(place.config()).unwrap(), bytes);
}

#[test]
fn a_list_of_another_day_removes_nothing() {
    let place = Place::new(None);
    commit(&place.target(), &wish(LIST, &options(Layout::Plain)), false).unwrap();
    let mut listing = Listing::live(&parse("auto - Auto\n").unwrap());
    listing.origin = ListingOrigin::Earlier;
    let earlier = DesiredProvider::new(&listing, &options(Layout::Plain));
    let before = place.text();
    assert_eq!(
        commit(&place.target(), &earlier, false).unwrap().plan.edits,
        []
    );
    assert_eq!(place.text(), before);
    // What stayed is still known to be ours.
    listing.origin = ListingOrigin::Live;
    let live = DesiredProvider::new(&listing, &options(Layout::Plain));
    assert_eq!(
        commit(&place.target(), &live, false)
            .unwrap()
            .plan
            .summary
            .removed,
        11
    );
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_modes_kept() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let dotfiles = tempfile::tempdir().unwrap();
    let real = dotfiles.path().join("real.jsonc");
    fs::write(&real, "{}").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    let middle = dotfiles.path().join("middle.jsonc");
    symlink("real.jsonc", &middle).unwrap();
    let place = Place::new(None);
    symlink(&middle, place.config()).unwrap();

    let done = commit(&place.target(), &wish(LIST, &options(Layout::Plain)), false).unwrap();
    assert_eq!(done.config, real.canonicalize().unwrap());
    assert!(place.config().is_symlink() && middle.is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("cursor-acp"));
    for file in [&real, &done.backup.unwrap()] {
        assert_eq!(
            fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(file.parent(), real.parent());
    }

    // A link to nothing yet is filled, not replaced.
    let place = Place::new(None);
    let to = dotfiles.path().join("new/config.jsonc");
    symlink(&to, place.config()).unwrap();
    commit(&place.target(), &wish(LIST, &options(Layout::Plain)), false).unwrap();
    assert!(to.is_file() && place.config().is_symlink());
    // It gets the mode of any new file, whatever the umask is.
    let plain = dotfiles.path().join("plain");
    fs::write(&plain, "").unwrap();
    let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode(&to), mode(&plain));
}

/// Neither waited for nor replaced: a device such as /dev/null would be gone for everybody.
#[cfg(unix)]
#[test]
fn what_is_not_a_regular_file_is_left_alone() {
    use std::os::unix::fs::FileTypeExt as _;
    let place = Place::new(None);
    let pipe = std::process::Command::new("mkfifo")
        .arg(place.config())
        .status();
    assert!(pipe.unwrap().success());
    let wish = wish(LIST, &options(Layout::Plain));
    let target = place.target();
    let errors = [
        commit(&target, &wish, false).unwrap_err(),
        commit(&target, &wish, true).unwrap_err(),
        inspect(&target.config, "cursor-acp").unwrap_err(),
        remove(&target, "cursor-acp", true, None, false).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
    assert!(fs::metadata(place.config()).unwrap().file_type().is_fifo());
    assert!(place.others().is_empty());
}

#[test]
fn only_our_own_litter_is_swept() {
    let place = Place::new(Some(b"{}"));
    let beside = |name: &str| place.config().with_file_name(name);
    // The first is named as killed runs name theirs.
    let names = [
        ".open-cursor-a1B2c3",
        ".open-cursor-notes.md",
        ".open-cursor-",
    ];
    for name in names {
        fs::write(beside(name), "").unwrap();
    }
    commit(&place.target(), &wish(LIST, &options(Layout::Plain)), false).unwrap();
    assert_eq!(names.map(|name| beside(name).exists()), [false, true, true]);
}

#[test]
fn a_held_lock_is_waited_for_and_then_reported() {
    let place = Place::new(None);
    let target = place.target();
    fs::create_dir_all(&target.state_dir).unwrap();
    let lock = fs::File::create(target.state_dir.join("opencode.lock")).unwrap();
    lock.lock().unwrap();
    let wish = wish(LIST, &options(Layout::Plain));
    assert!(matches!(
        commit(&target, &wish, false),
        Err(ConfigError::Busy)
    ));
    assert!(!place.config().exists());
    drop(lock);
    assert!(commit(&target, &wish, false).is_ok());
}
