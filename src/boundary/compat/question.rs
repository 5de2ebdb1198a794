//! Asking the user.

use serde_json::{Map, Value, json};

use super::Compat;
use super::fields::{Argument, ArgumentMap, field};
use super::items::{canonical, items, placed};

pub(super) const TOOL: Compat = Compat {
    family: "question",
    essential: "questions",
    fields: &[
        field("questions", "questions"),
        field("question", "question prompt message text"),
        field("options", "options choices followup suggestions"),
        field("title", "title header"),
    ],
    prepare,
    complete: |_, field| (field == "options").then(|| json!([])),
};

const QUESTION: &[Argument] = &[
    field("question", "question prompt text"),
    field("header", "header title"),
    field("options", "options choices"),
    field("multiple", "multiple multiselect allowmultiple"),
    field("id", "id"),
];

const OPTION: &[Argument] = &[
    field("label", "label title text name value"),
    field("description", "description detail details"),
    field("id", "id"),
];

/// Headers are shown in a narrow place: OpenCode's allow 30 characters.
const HEADER: usize = 30;

fn prepare(given: &mut ArgumentMap) {
    let title = given.text("title").map(str::to_owned);
    if given.property("questions").is_none() {
        single(given);
        return;
    }
    given.values.remove("title");
    if let Some(question) = given.values.remove("question") {
        let options = given.values.remove("options").unwrap_or(json!([]));
        given.set(
            "questions",
            json!([{ "question": question, "options": options }]),
        );
    }
    items(given, "questions", QUESTION, |item| {
        let text = item.get("question").cloned().unwrap_or(json!(""));
        let header = item
            .get("header")
            .and_then(Value::as_str)
            .or(title.as_deref())
            .or(text.as_str())
            .unwrap_or_default();
        item.insert("header".to_owned(), json!(clip(header)));
        item.entry("multiple").or_insert(json!(false));
        true
    });
    // The options' own names, in each question's list.
    let nested = given
        .item("questions")
        .and_then(|item| given.list_in(item, QUESTION, "options"));
    if let Some((property, node)) = nested
        && let Some(Value::Array(questions)) = given.values.get_mut("questions")
    {
        for question in questions.iter_mut().filter_map(Value::as_object_mut) {
            let options = question.get(property).and_then(Value::as_array).cloned();
            let options = options
                .unwrap_or_default()
                .iter()
                .map(|o| option(o, node))
                .collect();
            question.insert(property.to_owned(), Value::Array(options));
        }
    }
}

/// Tools that ask one question at a time get the first.
fn single(given: &mut ArgumentMap) {
    let Some(Value::Array(questions)) = given.values.remove("questions") else {
        return;
    };
    let Some(first) = questions.first().and_then(Value::as_object) else {
        return;
    };
    let mut first = canonical(first, QUESTION);
    if let Some(question) = first.remove("question") {
        given.set("question", question);
    }
    let labels: Vec<Value> = first
        .get("options")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|option| match option {
            Value::Object(option) => canonical(option, OPTION).remove("label"),
            label => Some(label.clone()),
        })
        .collect();
    given.set("options", labels);
}

/// One option, under the names of the client's schema `node`.
fn option(option: &Value, node: &Value) -> Value {
    let mut fields = match option {
        Value::Object(option) => canonical(option, OPTION),
        label => Map::from_iter([("label".to_owned(), label.clone())]),
    };
    let label = fields.get("label").cloned().unwrap_or(json!(""));
    let described = fields
        .get("description")
        .and_then(Value::as_str)
        .is_some_and(|text| !text.is_empty());
    if !described {
        fields.insert("description".to_owned(), label);
    }
    match placed(&fields, node, OPTION) {
        // The client's options are plain texts.
        None => fields.remove("label").unwrap_or(json!("")),
        Some(option) => Value::Object(option),
    }
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(HEADER) {
        None => text.to_owned(),
        Some(_) => {
            let mut clipped: String = text.chars().take(HEADER - 1).collect();
            clipped.push('…');
            clipped
        }
    }
}
