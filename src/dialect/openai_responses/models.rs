//! Models in Codex's shape (`ModelsResponse` of codex-cli 0.169), for the client that asks with its
//! `client_version`.
//!
//! Members that its decoder lets be and of which we know nothing are left out: so it takes no model
//! for one of those that get other tools (`tool_mode`), and offers all of them its shell, its patch
//! and functions.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::models::{Effort, Family, Listing, ModelLimits, limits_of};

/// Codex gives these to the model as its own; it has none of its own for models that we list.
const INSTRUCTIONS: &str = "\
You are a coding agent. The user works with you through Codex, a program in their terminal, which \
runs the commands and applies the patches that you ask for in their workspace.

Read what is there before you change it, and follow the conventions of the project and the \
instructions in its AGENTS.md files. Do all of the task and nothing beside it; leave changes of \
the user's that you find alone. Check your work, by the project's own tests if it has any. When you \
are done, say briefly what you changed and how you checked it, and name files by their paths.";

/// All models. Codex shows the families, with their efforts; the other ids are good for `-m`.
pub fn list(listing: &Listing) -> Value {
    let families = listing.families.iter().map(family);
    let members = listing.families.iter().flat_map(|family| {
        let others = family.members.iter();
        let others = others.filter(|member| member.model.id != family.name);
        others.map(|member| model(&member.model.id, &member.model.label, limits_of(member)))
    });
    let mut models: Vec<Value> = families.chain(members).collect();
    for (priority, model) in models.iter_mut().enumerate() {
        model["priority"] = priority.into();
    }
    json!({ "models": models })
}

fn family(family: &Family) -> Value {
    let default = family.default();
    let mut info = model(&family.name, &family.label(), limits_of(default));
    info["visibility"] = "list".into();
    let efforts: BTreeSet<Effort> = family
        .members
        .iter()
        .filter(|member| member.marks.fast == default.marks.fast)
        .filter_map(|member| member.marks.effort)
        .collect();
    let levels = efforts
        .iter()
        .map(|effort| json!({"effort": effort, "description": ""}));
    info["supported_reasoning_levels"] = levels.collect();
    if let Some(effort) = default.marks.effort {
        info["default_reasoning_level"] = json!(effort);
    }
    info
}

/// What can be said of any model. Members that only older versions demand are among it.
fn model(slug: &str, name: &str, limits: ModelLimits) -> Value {
    let mut info = json!({
        "slug": slug,
        "display_name": name,
        "supported_reasoning_levels": [],
        "supports_reasoning_summaries": true,
        "shell_type": "unified_exec",
        "apply_patch_tool_type": "freeform",
        "supports_parallel_tool_calls": true,
        "experimental_supported_tools": [],
        "visibility": "hide",
        "supported_in_api": true,
        "base_instructions": INSTRUCTIONS,
        "support_verbosity": false,
        "truncation_policy": {"mode": "tokens", "limit": 10_000},
    });
    // What Codex calls the context window is what it may fill.
    if let Some(context) = limits.input.or(limits.context) {
        info["context_window"] = context.into();
    }
    if limits.images == Some(false) {
        info["input_modalities"] = json!(["text"]);
    }
    info
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::models::parse;

    fn listed(text: &str) -> Vec<Value> {
        let listing = Listing::live(&parse(text).unwrap());
        list(&listing)["models"].as_array().unwrap().clone()
    }

    #[test]
    fn families_are_shown_and_ids_are_known() {
        let models = listed(
            "auto - Auto\nclaude-opus-5-low - Claude Opus 5 1M Low\n\
             claude-opus-5-high - Claude Opus 5 1M\nclaude-opus-5-max-fast - Claude Opus 5 1M Max Fast\n\
             gpt-5.2 - GPT-5.2\ngpt-5.2-xhigh - GPT-5.2 Extra High\n",
        );
        let told = models.iter().map(|model| {
            let levels = model["supported_reasoning_levels"].as_array().unwrap();
            let levels: Vec<&str> = levels.iter().filter_map(|l| l["effort"].as_str()).collect();
            json!([
                model["priority"],
                model["slug"],
                model["visibility"],
                levels.join(" "),
                model["default_reasoning_level"]
            ])
        });
        assert_eq!(
            told.collect::<Value>(),
            json!([
                [0, "auto", "list", "", null],
                [1, "claude-opus-5", "list", "low high", "high"],
                [2, "gpt-5.2", "list", "xhigh", null],
                [3, "claude-opus-5-low", "hide", "", null],
                [4, "claude-opus-5-high", "hide", "", null],
                [5, "claude-opus-5-max-fast", "hide", "", null],
                [6, "gpt-5.2-xhigh", "hide", "", null],
            ])
        );
        assert_eq!(models[1]["display_name"], "Claude Opus 5");
        assert_eq!(models[1]["context_window"], 1_000_000);
        assert!(models[0].get("context_window").is_none());
    }

    #[test]
    fn what_codex_demands_is_there_and_no_model_gets_other_tools() {
        for model in listed("gpt-6-sol-high - GPT-6 Sol High\n") {
            // Those without which codex-cli 0.169, or 0.99, decodes nothing.
            for member in [
                "slug",
                "display_name",
                "supported_reasoning_levels",
                "shell_type",
                "visibility",
                "supported_in_api",
                "priority",
                "base_instructions",
                "support_verbosity",
                "truncation_policy",
                "experimental_supported_tools",
                "supports_reasoning_summaries",
                "supports_parallel_tool_calls",
            ] {
                assert!(!model[member].is_null(), "{model} lacks {member}");
            }
            for member in ["tool_mode", "use_responses_lite", "supports_search_tool"] {
                assert!(model.get(member).is_none(), "{model}");
            }
        }
    }
}
