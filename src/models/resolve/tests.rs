use proptest::prelude::*;

use super::*;
use crate::models::{family::group, list::parse};

const LIST: &str = "auto - Auto (default)
composer-2.5 - Composer 2.5
composer-2.5-fast - Composer 2.5 Fast
gpt-5.2 - GPT-5.2
gpt-5.2-low - GPT-5.2 Low
gpt-5.2-high - GPT-5.2 High
gpt-5.2-high-fast - GPT-5.2 High Fast
gpt-5.2-fast - GPT-5.2 Fast
gpt-5.2-xhigh-fast - GPT-5.2 Extra High Fast
gpt-5.5-medium - GPT-5.5 1M
gpt-5.5-extra-high - GPT-5.5 1M Extra High
claude-4.5-sonnet - Claude Sonnet 4.5
claude-4.5-sonnet-thinking - Claude Sonnet 4.5 Thinking
claude-4.5-opus-high - Claude Opus 4.5
claude-4.5-opus-high-thinking - Claude Opus 4.5 Thinking
claude-opus-5-low - Claude Opus 5 1M Low
claude-opus-5-high - Claude Opus 5 1M
claude-opus-5-high-fast - Claude Opus 5 1M Fast
claude-opus-5-thinking-high - Claude Opus 5 1M Thinking
claude-opus-5-thinking-xhigh - Claude Opus 5 1M Extra High Thinking
cursor-grok-4.6-high - Cursor Grok 4.6
";

fn families() -> Vec<Family> {
    group(&parse(LIST).unwrap())
}

fn model(name: &str, effort: Option<&str>) -> Result<String, UnknownModel> {
    let request = ModelRequest {
        model: Some(name),
        reasoning_effort: effort,
        ..ModelRequest::default()
    };
    resolve(request, &families(), true)
}

#[test]
fn names() {
    for (name, id) in [
        ("auto", "auto"),
        ("", "auto"),
        ("  ", "auto"),
        ("cursor-acp/auto", "auto"),
        ("cursor-acp/", "auto"),
        ("cursor/gpt-5.2-high", "gpt-5.2-high"),
        ("anyone/at/all/gpt-5.2", "gpt-5.2"),
        ("GPT-5.2", "gpt-5.2"),
        ("gpt-5.2:high", "gpt-5.2-high"),
        ("gpt-5.2-fast:high", "gpt-5.2-high-fast"),
        ("gpt-5.2:fast-high", "gpt-5.2-high-fast"),
        ("claude-opus-5", "claude-opus-5-high"),
        ("claude-opus-5:thinking", "claude-opus-5-thinking-high"),
        ("claude-opus-5-fast", "claude-opus-5-high-fast"),
        ("gpt-5.5-xhigh", "gpt-5.5-extra-high"),
        ("sonnet-4.5", "claude-4.5-sonnet"),
        ("sonnet-4.5-thinking", "claude-4.5-sonnet-thinking"),
        ("claude-sonnet-4-5-20250929", "claude-4.5-sonnet"),
        ("anthropic/claude-sonnet-4.5", "claude-4.5-sonnet"),
        ("opus-4.5", "claude-4.5-opus-high"),
        ("opus-4.5-thinking", "claude-4.5-opus-high-thinking"),
        ("grok-4.6", "cursor-grok-4.6-high"),
        (
            "claude-opus-5[context=1m,fast=false]",
            "claude-opus-5[context=1m,fast=false]",
        ),
        ("cursor-acp/gpt-5.2[a=b/c]", "gpt-5.2[a=b/c]"),
    ] {
        assert_eq!(model(name, None).as_deref(), Ok(id), "{name}");
    }
}

#[test]
fn unknown_names() {
    for name in [
        "claude-opus-5-xhigh",    // only the thinking one
        "claude-4.5-sonnet-high", // an effort it has not
        "composer-2.5-low",
        "gpt-5.2:banana",
        "sonnet-9",
        "sonnet-9[effort=high]",
        "gpt-5.2[effort=high] --force",
        "--force",
        "grok",
        "claude",
        ":",
        "a:b:c",
    ] {
        assert!(model(name, None).is_err(), "{name} {:?}", model(name, None));
    }
    let error = model("gpt-5.2-hihg", None).unwrap_err();
    assert_eq!(error.nearest[0], "gpt-5.2-high");
    assert_eq!(
        error.to_string().split(',').next(),
        Some("there is no model \"gpt-5.2-hihg\"; did you mean gpt-5.2-high")
    );
}

#[test]
fn efforts_choose_where_they_may() {
    for (name, effort, id) in [
        ("gpt-5.2", "high", "gpt-5.2-high"),
        ("gpt-5.2-fast", "high", "gpt-5.2-high-fast"),
        ("gpt-5.2", "medium", "gpt-5.2"),
        ("gpt-5.2", "xhigh", "gpt-5.2"), // only a fast one, which costs more
        ("gpt-5.2-low", "high", "gpt-5.2-low"),
        ("gpt-5.5", "xhigh", "gpt-5.5-extra-high"),
        ("gpt-5.5", "low", "gpt-5.5-medium"),
        ("claude-opus-5", "low", "claude-opus-5-low"),
        ("claude-opus-5", "xhigh", "claude-opus-5-thinking-xhigh"),
        ("claude-4.5-sonnet", "high", "claude-4.5-sonnet"),
        (
            "claude-4.5-sonnet-thinking",
            "high",
            "claude-4.5-sonnet-thinking",
        ),
        ("composer-2.5", "high", "composer-2.5"),
        ("auto", "high", "auto"),
        ("gpt-5.2", "banana", "gpt-5.2"),
    ] {
        assert_eq!(
            model(name, Some(effort)).as_deref(),
            Ok(id),
            "{name} {effort}"
        );
    }
}

#[test]
fn the_literal_field_wins() {
    let request = ModelRequest {
        model: Some("cursor-acp/gpt-5.5"),
        cursor_model: Some(" gpt-5.2 "),
        reasoning_effort: Some("high"),
    };
    assert_eq!(
        resolve(request, &families(), true).as_deref(),
        Ok("gpt-5.2")
    );
    let blank = ModelRequest {
        cursor_model: Some(" "),
        ..request
    };
    assert_eq!(
        resolve(blank, &families(), true).as_deref(),
        Ok("gpt-5.5-medium")
    );
}

#[test]
fn an_incomplete_list_lets_names_through() {
    let named = |name| ModelRequest {
        model: Some(name),
        ..ModelRequest::default()
    };
    let handed = |name| resolve(named(name), &families(), false);
    assert_eq!(handed("gpt-9-turbo").as_deref(), Ok("gpt-9-turbo"));
    assert_eq!(handed("sonnet-4.5").as_deref(), Ok("claude-4.5-sonnet"));
    assert_eq!(
        resolve(named("x[y=z]"), &[], false).as_deref(),
        Ok("x[y=z]")
    );
    assert_eq!(
        resolve(ModelRequest::default(), &[], false).as_deref(),
        Ok("auto")
    );
    for hostile in ["--force", "a b", "a\nb", "-"] {
        assert!(handed(hostile).is_err(), "{hostile:?}");
    }
}

proptest! {
    /// Every listed id means itself, and what a complete list answers is in it.
    #[test]
    fn answers_are_listed(name in "\\PC{0,40}", effort in proptest::option::of("[a-z]{0,6}")) {
        let families = families();
        if let Ok(id) = model(&name, effort.as_deref()) {
            let base = id.split('[').next().unwrap_or_default();
            prop_assert!(id.contains('[') || ids(&families).any(|known| known == base));
        }
    }
}

#[test]
fn listed_ids_mean_themselves() {
    for id in ids(&families()) {
        assert_eq!(model(id, None).as_deref(), Ok(id));
    }
}
