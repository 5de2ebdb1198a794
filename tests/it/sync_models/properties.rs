//! What holds for any configuration.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::CstRootNode;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// JSON that may be anywhere outside our provider, or as a user's own model.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z \"\\\\/äß\n]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// An entry as a user might have it: of a listed model or their own.
fn models() -> impl Strategy<Value = Map<String, Value>> {
    let id = "(auto|gpt-5\\.2|gpt-5\\.2-low|claude-opus-5|claude-opus-5-high|mine)";
    let key = "(name|cost|limit|options|variants|reasoning|tool_call|other)";
    let entry = prop::collection::btree_map(key, any_json(), 0..4);
    prop::collection::btree_map(id, entry, 0..5).prop_map(|models| {
        let object = |entry: std::collections::BTreeMap<String, Value>| {
            Value::Object(entry.into_iter().collect())
        };
        models
            .into_iter()
            .map(|(id, entry)| (id, object(entry)))
            .collect()
    })
}

/// Writes JSON as people do: comments, odd spacing, trailing commas.
fn untidy(value: &Value, style: u8) -> String {
    let comma = if style & 1 == 0 { "," } else { "" };
    let note = if style & 2 == 0 {
        " // note, with \"quotes\"\n"
    } else {
        "\n"
    };
    let space = if style & 4 == 0 { "\t" } else { "  " };
    match value {
        Value::Object(map) if map.is_empty() => "{ }".to_owned(),
        Value::Object(map) => {
            let inner: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{space}{} : {}", Value::from(k.as_str()), untidy(v, style)))
                .collect();
            format!("{{{note}{}{comma}{note}}}", inner.join(&format!(",{note}")))
        }
        Value::Array(items) => {
            let inner: Vec<String> = items.iter().map(|item| untidy(item, style)).collect();
            format!("[{} /* end */]", inner.join(" ,"))
        }
        other => other.to_string(),
    }
}

fn read(text: &str) -> Value {
    let root = CstRootNode::parse(text, &ParseOptions::default()).unwrap();
    root.to_serde_value().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is there: the rest of the file keeps its meaning and its comments, the user's own
    /// values stay, and the second run has nothing to do.
    #[test]
    fn only_ours_changes(
        rest in prop::collection::btree_map("[a-z]{1,5}", any_json(), 0..4),
        models in models(),
        style in 0u8..8,
        shape in prop::sample::select(vec![Layout::Plain, Layout::Variants, Layout::Compact]),
    ) {
        let mut all: Map<String, Value> = rest.into_iter().collect();
        all.insert("provider".into(), json!({"else": {"models": {}}, "cursor-acp": {"models": models}}));
        let all = Value::Object(all);
        let text = untidy(&all, style);
        let place = Place::new(Some(text.as_bytes()));
        let wish = wish(LIST, &options(shape));
        let done = commit(&place.target(), &wish, false).unwrap();

        let written = read(&place.text());
        for (key, value) in all.as_object().unwrap() {
            if key != "provider" {
                prop_assert_eq!(&written[key], value);
            }
        }
        prop_assert_eq!(&written["provider"]["else"], &all["provider"]["else"]);
        let now = &written["provider"]["cursor-acp"]["models"];
        for (id, entry) in &models {
            // A plain entry of a model that is now folded may go; anything else stays as it is.
            let Some(entry_now) = now.get(id) else {
                prop_assert!(shape == Layout::Compact && id != "mine");
                continue;
            };
            for (key, value) in entry.as_object().unwrap() {
                if !value.is_object() {
                    prop_assert_eq!(&entry_now[key], value, "{}.{}", id, key);
                }
            }
        }
        let count = |text: &str| text.matches("note, with").count();
        if done.plan.summary.removed == 0 {
            prop_assert!(count(&place.text()) >= count(&text));
        }
        let again = commit(&place.target(), &wish, false).unwrap();
        prop_assert!(again.plan.edits.is_empty());
        prop_assert!(again.backup.is_none());
    }

    /// From direct entries to variants and back is no change at all.
    #[test]
    fn there_and_back(first in 0usize..3, second in 0usize..3) {
        let shapes = [Layout::Plain, Layout::Variants, Layout::Compact].map(options);
        let place = Place::new(Some(b"{ // mine\n}\n"));
        let go = |shape: usize| commit(&place.target(), &wish(LIST, &shapes[shape]), false).unwrap();
        go(first);
        let before = read(&place.text());
        go(second);
        let other = read(&place.text());
        go(first);
        prop_assert_eq!(&read(&place.text()), &before);
        prop_assert_eq!(first == second, other == before);
    }
}
