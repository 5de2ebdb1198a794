use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::boundary::testing::map;

#[test]
fn problems_name_the_argument() {
    let schema = Schema::new(json!({
        "type": "object",
        "properties": {"todos": {"type": "array", "items": {
            "type": "object", "properties": {"content": {"type": "string"}}, "required": ["content"],
        }}, "mode": {"enum": ["a", "b"]}},
        "required": ["todos", "name"],
        "additionalProperties": false,
    }));
    let arguments = map(json!({"todos": [{"content": 1}, {}], "mode": "c", "other": 1}));
    assert_eq!(
        schema.problems(&arguments),
        [
            "missing name",
            "todos[0].content must be string, not integer",
            "missing todos[1].content",
            "mode is not one of the allowed values",
            "other is not of an allowed form",
        ]
    );
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let schema = Schema::new(json!({"$ref": "#"}));
    schema.problems(&map(json!({"a": 1})));
    assert_eq!(schema.properties().count(), 0);
}

/// Arguments in each other, `depth` times.
fn nested(depth: usize, inner: Value) -> Map<String, Value> {
    let wrap = |inner: Value, _| json!({ "a": inner });
    map((0..depth).fold(json!({ "a": inner }), wrap))
}

/// Each would take 3 to the power of the arguments' depth, or of our own limit of it.
#[test]
fn a_check_that_takes_too_long_is_given_up() {
    let three = |target: &str| json!([{"$ref": target}, {"$ref": target}, {"$ref": target}]);
    for root in [
        json!({"oneOf": three("#")}),
        json!({"allOf": three("#")}),
        json!({"properties": {"a": {"oneOf": three("#")}}}),
        json!({"properties": {"a": {"anyOf": three("#")}}, "required": ["b"]}),
        json!({"properties": {"a": {"$ref": "#/$defs/d"}}, "$defs": {"d": {"oneOf": three("#")}}}),
    ] {
        let schema = Schema::new(root.clone());
        let begun = std::time::Instant::now();
        for depth in [0, 1, 20, 100] {
            for inner in [json!(1), json!({}), json!([1, 2])] {
                schema.problems(&nested(depth, inner));
            }
        }
        let taken = begun.elapsed();
        assert!(
            taken < std::time::Duration::from_secs(2),
            "{taken:?} {root}"
        );
        // What could not be checked is not refused.
        assert_eq!(schema.problems(&nested(100, json!(1))), [""; 0], "{root}");
    }
    // Long arguments are checked to their end.
    let list = Schema::new(json!({"properties": {"a": {"items": {"type": "string"}}}}));
    let mut items = vec![json!("x"); 5000];
    items.push(json!(1));
    assert_eq!(list.problems(&map(json!({ "a": items }))).len(), 1);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-4i64..5).prop_map(Value::from),
        (-8i64..9).prop_map(|n| Value::from(n as f64 / 2.0)),
        "[ab]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[abc]", inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn node() -> impl Strategy<Value = Value> {
    let kind = prop_oneof![
        Just("string"),
        Just("number"),
        Just("integer"),
        Just("boolean"),
        Just("null"),
        Just("array"),
        Just("object"),
    ];
    let leaf = prop_oneof![
        Just(json!({})),
        any::<bool>().prop_map(Value::from),
        Just(json!({"$ref": "#/$defs/d"})),
        kind.clone().prop_map(|kind| json!({"type": kind})),
        prop::collection::vec(kind, 1..3)
            .prop_map(|mut kinds| {
                kinds.dedup();
                json!({"type": kinds})
            })
            .prop_filter("types are unique", |node| {
                let kinds = node["type"].as_array().unwrap();
                kinds.len() < 2 || kinds[0] != kinds[1]
            }),
        prop::collection::vec(value(), 1..3).prop_map(|values| json!({"enum": values})),
        value().prop_map(|value| json!({"const": value})),
        (-3i64..3, 0i64..3)
            .prop_map(|(min, more)| json!({"minimum": min, "exclusiveMaximum": min + more})),
        (0u64..2, 0u64..3)
            .prop_map(|(min, more)| json!({"minLength": min, "maxLength": min + more})),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        let properties = prop::collection::vec(("[abc]", inner.clone()), 0..3)
            .prop_map(|pairs| Value::Object(pairs.into_iter().collect()));
        let some = prop::collection::vec(inner.clone(), 1..3);
        prop_oneof![
            (inner.clone(), 0u64..2)
                .prop_map(|(items, min)| json!({"items": items, "minItems": min})),
            (
                properties,
                prop::collection::btree_set("[abc]", 0..3),
                inner
            )
                .prop_map(|(properties, required, rest)| json!({
                    "properties": properties, "required": required, "additionalProperties": rest,
                })),
            some.clone().prop_map(|all| json!({"allOf": all})),
            some.clone().prop_map(|any| json!({"anyOf": any})),
            some.prop_map(|one| json!({"oneOf": one})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Our view judges as a complete implementation does.
    #[test]
    fn it_agrees_with_the_jsonschema_crate(
        mut root in node(),
        shared in value(),
        value in value(),
    ) {
        if let Value::Object(root) = &mut root {
            root.insert("$defs".to_owned(), json!({"d": {"const": shared}}));
        }
        prop_assume!(!root.is_boolean());
        let theirs = jsonschema::draft202012::new(&root).unwrap().is_valid(&value);
        let schema = Schema::new(root);
        prop_assert_eq!(schema.accepts(&schema.root, &value), theirs);
        if let Value::Object(map) = &value {
            prop_assert_eq!(schema.problems(map).is_empty(), theirs);
        }
    }
}
