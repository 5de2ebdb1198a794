use serde_json::json;

use super::*;
use crate::boundary::testing::{map, native};

/// The names that the CLI 2026.10.01 gives its tools, without their `_tool_call` ending.
const CLI_TOOLS: &str = "shell delete glob grep read update_todos read_todos edit ls read_lints mcp \
    sem_search create_plan web_search task list_mcp_resources read_mcp_resource apply_agent_diff \
    ask_question fetch switch_mode generate_image record_screen computer_use write_shell_stdin \
    reflect setup_vm_environment truncated start_grind_execution start_grind_planning web_fetch \
    report_bugfix_results ai_attribution pr_management mcp_auth await blame_by_file_path \
    get_mcp_tools report_bug set_active_branch communicate_update send_final_summary \
    update_pr_code_tour replace_env edit_pr_labels record_ci_investigation_findings send_message \
    fetch_cloud_agent_data send_to_user pi_read pi_bash pi_edit pi_write pi_grep pi_find pi_ls \
    connect_scm search_conversations create_goal update_goal adopt get_agent_status send_to_agent \
    read_agent_transcript create_agent stop_agent get_pr_code_tour write_canvas read_canvas";

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (head, tail) = word.split_at(1);
        name + &head.to_uppercase() + tail
    })
}

#[test]
fn every_tool_of_the_cli_has_its_place() {
    assert_eq!(CLI_TOOLS.split_whitespace().count(), 69);
    for name in CLI_TOOLS.split_whitespace() {
        let kind = camel(name);
        let known = KINDS.iter().any(|(known, ..)| *known == kind);
        let internal = INTERNAL.split(' ').any(|known| known == kind);
        assert!(known != internal || kind == "mcp", "{kind}");
    }
}

#[test]
fn plumbing_and_unset_fields_are_left_behind() {
    let call = native(
        "shell",
        "a",
        json!({"command": "ls", "workingDirectory": "", "toolCallId": "x", "simpleCommands": ["ls"]}),
    );
    assert_eq!(asked(&call).unwrap().args, map(json!({"command": "ls"})));
    assert_eq!(asked(&native("shell", "a", Value::Null)), None);
    assert_eq!(asked(&native("await", "a", json!({}))), None);
}

#[test]
fn unknown_kinds_keep_their_arguments() {
    let call = native("lookup", "a", json!({"x": null, "toolCallId": "t"}));
    let asked = asked(&call).unwrap();
    assert_eq!(
        (asked.names, asked.args),
        (vec!["lookup".to_owned()], map(json!({"x": null})))
    );
    assert!(!asked.native);
}
