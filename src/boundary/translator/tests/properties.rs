//! What holds for any events.

use proptest::prelude::*;

use super::*;

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..100_000).prop_map(Value::from),
        "[a-z/. \n\"]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..3)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    let keys = [
        "path",
        "filePath",
        "command",
        "pattern",
        "globPattern",
        "oldText",
        "newText",
        "todos",
        "content",
        "status",
        "questions",
        "options",
        "prompt",
        "subagentType",
        "description",
        "streamContent",
        "strReplace",
        "multiStrReplace",
        "edits",
        "applyPatch",
        "patchContent",
        "workingDirectory",
        "timeout",
        "offset",
        "limit",
        "url",
        "merge",
        "args",
        "name",
        "toolName",
        "fileText",
        "caseInsensitive",
        "type",
        "diff",
        "x",
    ];
    prop::sample::select(keys.to_vec()).prop_map(str::to_owned)
}

fn kind() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "shell",
        "read",
        "write",
        "edit",
        "delete",
        "grep",
        "glob",
        "ls",
        "updateTodos",
        "readTodos",
        "task",
        "webFetch",
        "webSearch",
        "askQuestion",
        "createPlan",
        "mcp",
        "piEdit",
        "piBash",
        "future",
        "await",
        "bash",
        "todowrite",
        "apply_patch",
        "function",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Any arguments become a call that fits the schema, or one that is passed on for the
    /// client to refuse; never an empty one where something is demanded, never a panic.
    #[test]
    fn any_arguments_make_a_sound_call(
        kind in kind(),
        args in prop::collection::vec((key(), json_value()), 0..5),
        gpt in any::<bool>(),
        strict in any::<bool>(),
    ) {
        let tools = if gpt { crate::boundary::testing::opencode_gpt() } else { opencode() };
        let options = BoundaryOptions { auto_fallback: !strict, ..BoundaryOptions::default() };
        let call = NativeCall { args: Some(args.into_iter().collect()), ..native(kind, "a", Value::Null) };
        let turn = turn(tools);
        let outcome = run(&turn, &options, [AgentEvent::ToolStarted(Box::new(call))]);
        for (name, arguments) in outcome.named() {
            let spec = turn.tools.iter().find(|tool| tool.name == name).unwrap();
            let schema = crate::boundary::schema::Schema::new(spec.schema.clone());
            let arguments = map(arguments);
            let problems = schema.problems(&arguments);
            prop_assert!(problems.is_empty() || !strict, "{problems:?}");
            let native = crate::boundary::native::effect(kind) != crate::boundary::native::Effect::Act
                || ["shell", "task", "updateTodos"].contains(&kind);
            prop_assert!(!(native && arguments.is_empty()), "{name}");
        }
    }

    /// However announcements and completions of parallel calls interleave, each is made once.
    #[test]
    fn each_call_is_made_once(
        calls in prop::collection::vec((0..3u8, any::<bool>(), any::<bool>()), 1..7),
        order in any::<prop::sample::Index>(),
        shuffle in prop::collection::vec(any::<prop::sample::Index>(), 14),
    ) {
        let call = |index: usize, kind: u8| match kind {
            0 => native("shell", &format!("id\n{index}"), json!({"command": format!("c{index}")})),
            1 => native("read", &format!("id\n{index}"), json!({"path": format!("/c{index}")})),
            _ => native("edit", &format!("id\n{index}"), json!({"path": format!("/c{index}")})),
        };
        let mut queues: Vec<Vec<AgentEvent>> = Vec::new();
        for (index, (kind, announced, again)) in calls.iter().enumerate() {
            let call = call(index, *kind);
            let body = json!({"path": format!("/c{index}"), "afterFullFileContent": format!("c{index}")});
            let mut queue = Vec::new();
            if *announced { queue.push(AgentEvent::ToolStarted(Box::new(call.clone()))); }
            if *announced && *again { queue.push(AgentEvent::ToolStarted(Box::new(call.clone()))); }
            queue.push(done(&call, "success", body));
            queues.push(queue);
        }
        let mut events = Vec::new();
        let mut step = shuffle.iter().cycle();
        while queues.iter().any(|queue| !queue.is_empty()) {
            queues.retain(|queue| !queue.is_empty());
            let at = step.next().unwrap_or(&order).index(queues.len());
            events.push(queues[at].remove(0));
        }
        events.push(finished(""));
        let outcome = run(&turn(opencode()), &BoundaryOptions::default(), events);
        let mut seen: Vec<String> = outcome.calls().iter().map(|call| call.arguments.clone()).collect();
        prop_assert_eq!(seen.len(), calls.len());
        seen.sort();
        seen.dedup();
        prop_assert_eq!(seen.len(), calls.len());
        let mut ids: Vec<&str> = outcome.calls().iter().map(|call| call.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), calls.len());
    }
}
