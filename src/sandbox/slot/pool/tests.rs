use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::sandbox::slot::Rules;

fn open(root: &Path, count: usize) -> Slots {
    let user = root.join("user");
    fs::create_dir_all(&user).unwrap();
    Slots::open(&root.join("cache/slots"), count, &user).unwrap()
}

fn deny(rule: &'static str) -> Rules {
    Rules {
        allow: &[],
        deny: Box::leak(Box::new([rule])),
    }
}

/// Waits for the cleaner, so that the test's directory can be removed.
async fn end(slots: Slots, slot: Slot) {
    drop(slot);
    slots.drained().await;
}

/// Every file below `directory`, links not followed.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn nothing_of_one_turn_reaches_the_next() {
    let root = tempfile::tempdir().unwrap();
    let slots = open(root.path(), 1);
    let slot = slots.acquire().await.unwrap();
    let dirs = slot.dirs().clone();
    slot.dirs().configure(Rules::default()).unwrap();
    fs::create_dir_all(dirs.layer(0).0).unwrap();
    for secret in [
        dirs.tmp().join("deep/secret"),
        dirs.workspace().join("secret"),
        dirs.config().join("secret"),
        dirs.layer(0).0.join("secret"),
    ] {
        fs::create_dir_all(secret.parent().unwrap()).unwrap();
        fs::write(secret, "hunter2").unwrap();
    }
    fs::write(dirs.chats().join("kept"), "chat").unwrap();
    fs::set_permissions(dirs.tmp().join("deep"), fs::Permissions::from_mode(0o000)).unwrap();
    drop(slot);
    slots.drained().await;

    let slot = slots.acquire().await.unwrap();
    assert_eq!(slot.dirs().slot, dirs.slot, "the names are stable");
    assert_eq!(
        files(&dirs.slot),
        [
            dirs.config().join("chats"),
            dirs.config().join("cli-config.json")
        ],
        "ready for the next run, and nothing else"
    );
    for directory in [dirs.tmp(), dirs.config(), dirs.workspace()] {
        let mode = fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", directory.display());
    }
    assert!(dirs.chats().join("kept").exists(), "chats are shared");
    end(slots, slot).await;
}

#[tokio::test]
async fn a_configuration_that_a_run_has_changed_is_written_anew() {
    let root = tempfile::tempdir().unwrap();
    let slots = open(root.path(), 1);
    fs::write(root.path().join("user/statsig-cache.json"), "{}").unwrap();
    let changes: [fn(&Path); 14] = [
        |_| {},
        |config| fs::write(config.join("cli-config.json"), "{}").unwrap(),
        |config| fs::write(config.join("mcp.json"), "{}").unwrap(),
        |config| fs::remove_file(config.join("statsig-cache.json")).unwrap(),
        |config| fs::remove_file(config.join("chats")).unwrap(),
        |config| {
            fs::remove_file(config.join("chats")).unwrap();
            std::os::unix::fs::symlink("/", config.join("chats")).unwrap();
        },
        |config| {
            let moved = config.with_file_name("moved");
            fs::rename(config, &moved).unwrap();
            std::os::unix::fs::symlink(&moved, config).unwrap();
        },
        |config| fs::set_permissions(config, fs::Permissions::from_mode(0o755)).unwrap(),
        // What would keep whoever reads it waiting, or never end.
        |config| {
            let file = config.join("cli-config.json");
            fs::remove_file(&file).unwrap();
            nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
        },
        |config| {
            let file = config.join("cli-config.json");
            fs::remove_file(&file).unwrap();
            std::os::unix::fs::symlink("/dev/zero", file).unwrap();
        },
        |config| {
            let file = fs::File::create(config.join("cli-config.json")).unwrap();
            file.set_len(1 << 40).unwrap();
        },
        // By another name it could be changed while the next run reads it.
        |config| fs::hard_link(config.join("cli-config.json"), config.join("chats/it")).unwrap(),
        |config| {
            let file = config.join("statsig-cache.json");
            fs::set_permissions(file, fs::Permissions::from_mode(0o666)).unwrap();
        },
        |config| fs::write(config.join("statsig-cache.json"), "[]").unwrap(),
    ];
    for (at, change) in changes.iter().enumerate() {
        let slot = slots.acquire().await.unwrap();
        let dirs = slot.dirs().clone();
        dirs.configure(deny("Shell(**)")).unwrap();
        change(&dirs.config());
        drop(slot);
        slots.drained().await;
        let mode = fs::symlink_metadata(dirs.config()).unwrap().permissions();
        assert_eq!(mode.mode(), 0o040_700, "{at}");
        let names = files(&dirs.slot);
        let names = names
            .iter()
            .map(|path| path.strip_prefix(&dirs.slot).unwrap());
        let names: Vec<&str> = names.map(|path| path.to_str().unwrap()).collect();
        let expected = [
            "config/chats",
            "config/cli-config.json",
            "config/statsig-cache.json",
        ];
        assert_eq!(names, expected, "{at}");
        let config = dirs.config();
        let text = |name: &str| fs::read_to_string(config.join(name)).unwrap();
        assert!(text("cli-config.json").contains("Shell(**)"), "{at}");
        assert_eq!(text("statsig-cache.json"), "{}", "{at}");
        for name in ["cli-config.json", "statsig-cache.json"] {
            let meta = fs::metadata(config.join(name)).unwrap();
            assert_eq!((meta.nlink(), meta.mode() & 0o777), (1, 0o600), "{at}");
        }
        assert_eq!(
            fs::read_link(config.join("chats")).unwrap(),
            dirs.chats(),
            "{at}"
        );
    }
}

#[tokio::test]
async fn what_a_crashed_server_left_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let tmp = root.path().join("cache/slots/0/tmp");
    fs::create_dir_all(&tmp).unwrap();
    for directory in ["cache/slots", "cache/slots/0"] {
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(root.path().join(directory), private).unwrap();
    }
    fs::write(tmp.join("secret"), "hunter2").unwrap();
    let slots = open(root.path(), 1);
    let slot = slots.acquire().await.unwrap();
    assert_eq!(
        slot.dirs().tmp().canonicalize().unwrap(),
        tmp.canonicalize().unwrap()
    );
    assert!(!tmp.join("secret").exists());
    end(slots, slot).await;
}

#[tokio::test]
async fn more_are_made_and_servers_do_not_share() {
    let root = tempfile::tempdir().unwrap();
    let (one, other) = (open(root.path(), 2), open(root.path(), 2));
    let held = [one.acquire().await.unwrap(), one.acquire().await.unwrap()];
    let theirs = other.acquire().await.unwrap();
    let name = |slot: &Slot| slot.dirs().slot.file_name().unwrap().to_owned();
    assert_eq!(
        [name(&held[0]), name(&held[1]), name(&theirs)],
        ["0", "1", "2"]
    );

    let third = one.acquire().await.unwrap();
    assert_eq!(name(&third), "4", "3 is the other server's");
    assert_eq!(third.dirs().chats(), theirs.dirs().chats());
    drop((held, third));
    one.drained().await;
    let again = one.acquire().await.unwrap();
    assert_eq!(name(&again), "0");
    end(one, again).await;
    end(other, theirs).await;
}

/// As after agents that left so much to clean up that others needed slots meanwhile.
#[tokio::test]
async fn slots_beyond_those_of_the_start_are_given_up() {
    let root = tempfile::tempdir().unwrap();
    let slots = open(root.path(), 2);
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(slots.acquire().await.unwrap());
    }
    let locks = || {
        let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let to = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
        to.filter(|to| to.starts_with(root.path()) && to.extension().is_some())
            .count()
    };
    if cfg!(target_os = "linux") {
        assert_eq!(locks(), 10);
    }
    drop(held);
    slots.drained().await;
    if cfg!(target_os = "linux") {
        assert_eq!(locks(), 2);
    }
    // There can be as many again.
    let other = open(root.path(), 10);
    let slot = other.acquire().await.unwrap();
    end(other, slot).await;
    let slot = slots.acquire().await.unwrap();
    end(slots, slot).await;
}

#[tokio::test]
async fn the_users_configuration_is_only_read() {
    let root = tempfile::tempdir().unwrap();
    let slots = open(root.path(), 1);
    let users = root.path().join("user/cli-config.json");
    let own = r#"{"version":1,"permissions":{"allow":[],"deny":["Read(.env)"]},"model":"mine"}"#;
    fs::write(&users, own).unwrap();
    let slot = slots.acquire().await.unwrap();
    for _ in 0..2 {
        slot.dirs().configure(deny("Shell(**)")).unwrap();
    }
    let config = slot.dirs().config();
    let seeded = fs::read_to_string(config.join("cli-config.json")).unwrap();
    assert!(seeded.contains(r#"["Read(.env)","Shell(**)"]"#) && seeded.contains("mine"));
    assert_eq!(fs::read_to_string(&users).unwrap(), own);
    fs::write(config.join("chats/id"), "").unwrap();
    assert!(slot.dirs().chats().join("id").exists());
    end(slots, slot).await;
}

#[tokio::test]
async fn a_run_has_the_users_configuration_of_now_and_its_own_rules() {
    let root = tempfile::tempdir().unwrap();
    let slots = open(root.path(), 1);
    let users = root.path().join("user/cli-config.json");
    fs::write(&users, r#"{"model":"first"}"#).unwrap();
    let slot = slots.acquire().await.unwrap();
    let config = slot.dirs().config().join("cli-config.json");
    let has = |parts: [&str; 2]| {
        let text = fs::read_to_string(&config).unwrap();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    slot.dirs().configure(deny("Shell(**)")).unwrap();
    has(["first", r#""deny":["Shell(**)"]"#]);
    fs::write(&config, "what the agent made of it").unwrap();
    drop(slot);
    slots.drained().await;

    let slot = slots.acquire().await.unwrap();
    has(["first", r#""deny":["Shell(**)"]"#]);
    fs::write(&users, r#"{"model":"second choice"}"#).unwrap();
    slot.dirs().configure(deny("Shell(**)")).unwrap();
    has(["second choice", r#""deny":["Shell(**)"]"#]);
    slot.dirs().configure(deny("Mcp(*:*)")).unwrap();
    has(["second choice", r#""deny":["Mcp(*:*)"]"#]);
    end(slots, slot).await;
}

#[test]
fn a_directory_of_others_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let open_to_all = root.path().join("slots");
    fs::create_dir(&open_to_all).unwrap();
    fs::set_permissions(&open_to_all, fs::Permissions::from_mode(0o777)).unwrap();
    let error = Slots::open(&open_to_all, 1, root.path()).unwrap_err();
    assert!(error.to_string().contains("ours alone"), "{error}");
}

/// `/var/tmp/open-cursor-UID` may have been made by somebody else, who could replace what is in it.
#[test]
fn a_place_below_a_directory_of_others_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let refused = |parent: &Path| {
        let error = Slots::open(&parent.join("slots"), 1, root.path()).unwrap_err();
        assert!(error.to_string().contains("belongs to others"), "{error}");
        assert!(!parent.join("slots").exists());
    };
    let shared = root.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    refused(&shared);
    if nix::unistd::geteuid().is_root() {
        let others = root.path().join("others");
        fs::create_dir(&others).unwrap();
        std::os::unix::fs::chown(&others, Some(65534), None).unwrap();
        refused(&others);
        let link = root.path().join("link");
        std::os::unix::fs::symlink(root.path(), &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(65534), None).unwrap();
        refused(&link);
    }
}

/// Sets or clears the attribute that keeps even root from removing a file. False where there is
/// none.
fn immutable(path: &Path, sign: &str) -> bool {
    let chattr = std::process::Command::new("chattr")
        .arg(format!("{sign}i"))
        .arg(path)
        .stderr(std::process::Stdio::null())
        .status();
    chattr.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn a_slot_that_cannot_be_cleaned_is_moved_aside_and_no_run_fails() {
    let root = tempfile::tempdir().unwrap();
    let slots = open(root.path(), 1);
    for _ in 0..2 {
        let slot = slots.acquire().await.unwrap();
        let stuck = slot.dirs().tmp().join("stuck");
        fs::write(&stuck, "x").unwrap();
        fs::write(slot.dirs().config().join("mcp.json"), "evil").unwrap();
        if !immutable(&stuck, "+") {
            // This user or file system has no such files.
            return end(slots, slot).await;
        }
        end(slots.clone(), slot).await;
    }
    let slot = slots.acquire().await.unwrap();
    assert_eq!(files(&slot.dirs().tmp()), [""; 0].map(PathBuf::from));
    assert!(!slot.dirs().config().join("mcp.json").exists());
    let asides = root.path().join("cache/slots");
    let stuck = [0, 1].map(|number| asides.join(format!("0.aside-{number}/tmp/stuck")));
    for file in &stuck {
        assert!(file.exists(), "{}", file.display());
        assert!(immutable(file, "-"));
    }
    crate::sandbox::slot::remove_asides(&asides);
    assert!(!stuck[0].exists() && !asides.join("0.aside-0").exists());
    end(slots, slot).await;
}

#[tokio::test]
async fn a_users_file_that_never_ends_is_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let slots = open(root.path(), 1);
    std::os::unix::fs::symlink("/dev/zero", root.path().join("user/cli-config.json")).unwrap();
    let pipe = root.path().join("user/statsig-cache.json");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let slot = slots.acquire().await.unwrap();
    slot.dirs().configure(deny("Shell(**)")).unwrap();
    let config = slot.dirs().config();
    assert!(
        fs::read_to_string(config.join("cli-config.json"))
            .unwrap()
            .contains("Shell(**)")
    );
    assert!(!config.join("statsig-cache.json").exists());
    end(slots, slot).await;
}
