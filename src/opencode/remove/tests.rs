use super::*;
use crate::{
    models::{Listing, parse},
    opencode::{DesiredProvider, Layout, ModelOptions, PROVIDER, commit},
};

struct Home {
    dir: tempfile::TempDir,
    target: ConfigTarget,
}

fn home(text: Option<&str>) -> Home {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("opencode.jsonc");
    if let Some(text) = text {
        std::fs::write(&config, text).unwrap();
    }
    let target = ConfigTarget {
        config,
        state_dir: dir.path().join("state"),
    };
    Home { dir, target }
}

impl Home {
    fn install(&self) {
        let list = "Available models\n\nauto - Auto\ngpt-5.5-high - GPT-5.5 High\n";
        let options = ModelOptions {
            provider: PROVIDER.to_owned(),
            base_url: "http://127.0.0.1:5/v1".to_owned(),
            api_key: None,
            shape: Layout::Variants,
        };
        let desired = DesiredProvider::new(&Listing::live(&parse(list).unwrap()), &options);
        commit(&self.target, &desired, false).unwrap();
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.target.config).unwrap()
    }

    fn remove(&self) -> Removal {
        remove(&self.target, PROVIDER, false, None, false).unwrap()
    }
}

#[test]
fn what_was_there_before_is_there_afterwards() {
    for text in [
        "{}\n",
        "{\n  \"$schema\": \"https://opencode.ai/config.json\"\n}\n",
        "{\n\t// mine\n\t\"theme\": \"x\", // so\n\t\"model\": \"cursor-acp/auto\"\n}\n",
        "{\n  \"provider\": {\n    \"other\": {\"name\": \"Other\"} // theirs\n  }\n}\n",
        "{\"provider\": {\"other\": {}}, \"a\": [1, 2,],}",
        "\u{feff}{\r\n  \"a\": 1,\r\n  \"provider\": {\r\n    \"other\": {},\r\n  },\r\n}\r\n",
    ] {
        let home = home(Some(text));
        home.install();
        assert_ne!(home.text(), text);
        let removal = home.remove();
        assert_eq!(removal.removed, ["provider.cursor-acp"]);
        assert_eq!(removal.kept, [""; 0]);
        let value = |text: &str| Document::parse(Path::new("x"), text).unwrap().value();
        assert_eq!(value(&home.text()), value(text), "{text}");
        // An object on one line was broken into several when it got an entry.
        if !text.contains("{\"other\": {}}") {
            assert_eq!(home.text(), text);
        }
        assert_eq!(
            home.remove().removed,
            [""; 0],
            "a second time changes nothing"
        );
    }
}

#[test]
fn the_users_values_stay() {
    let home = home(Some("{}"));
    home.install();
    let edited = home
        .text()
        .replace("http://127.0.0.1:5/v1", "http://mine/v1")
        .replace(
            "\"models\": {",
            "\"models\": {\"own\": {\"name\": \"Own\"},",
        );
    std::fs::write(&home.target.config, edited).unwrap();
    let removal = home.remove();
    assert_eq!(
        removal.kept,
        [
            "provider.cursor-acp.options.baseURL",
            "provider.cursor-acp.models.own.name"
        ]
    );
    assert!(
        removal
            .removed
            .contains(&"provider.cursor-acp.models.auto".to_owned())
    );
    let left = Document::parse(Path::new("x"), &home.text())
        .unwrap()
        .value();
    assert_eq!(
        left,
        serde_json::json!({"provider": {"cursor-acp": {
            "options": {"baseURL": "http://mine/v1"}, "models": {"own": {"name": "Own"}}}}})
    );
    assert!(removal.backup.unwrap().exists());
}

#[test]
fn what_another_wrote_is_not_ours() {
    let text = "{\"provider\": {\"cursor-acp\": {\"name\": \"By hand\"}}}";
    let home = home(Some(text));
    assert_eq!(home.remove().kept, ["provider.cursor-acp.name"]);
    assert_eq!(home.text(), text);
}

#[test]
fn a_file_of_ours_goes_with_its_content() {
    let home = home(None);
    home.install();
    let before = home.text();
    let planned = remove(&home.target, PROVIDER, true, None, true).unwrap();
    assert!(planned.deleted && home.text() == before);
    let removal = remove(&home.target, PROVIDER, true, None, false).unwrap();
    assert!(removal.deleted && !home.target.config.exists());
    assert!(home.dir.path().join("state").exists());
    assert_eq!(home.remove().removed, [""; 0]);
}
