use serde_json::json;

use super::*;
use crate::boundary::testing::{WORKSPACE, map, tool, turn};

fn asked(name: &str, args: serde_json::Value) -> Intent {
    Intent {
        names: vec![name.to_owned()],
        args: map(args),
        native: false,
        aliases: true,
    }
}

#[test]
fn exact_then_folded_then_alias() {
    let text = json!({"path": {"type": "string"}});
    let tools = ["view_file", "READ", "read"].map(|name| tool(name, "", text.clone(), &["path"]));
    for drop in 0..3 {
        let catalog = ToolCatalog::new(&turn(tools[..3 - drop].to_vec()), Path::new(WORKSPACE));
        let tool = catalog.make(&asked("read", json!({"path": "a"}))).unwrap();
        assert_eq!(tool.name, ["read", "READ", "view_file"][drop]);
    }
}

#[test]
fn of_several_candidates_the_one_whose_schema_fits() {
    let text = json!({"type": "string"});
    let by_name = tool("search_files", "", json!({"pattern": text}), &["pattern"]);
    let by_content = tool("rg", "", json!({"regex": text, "path": text}), &["regex"]);
    let catalog = ToolCatalog::new(&turn(vec![by_name, by_content]), Path::new(WORKSPACE));
    let grep = Intent {
        native: true,
        ..asked("grep", json!({"pattern": "x", "path": "src"}))
    };
    let made = catalog.make(&grep).unwrap();
    assert_eq!(made.name, "rg");
    assert_eq!(made.arguments, map(json!({"regex": "x", "path": "src"})));
}
