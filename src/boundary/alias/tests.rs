use super::*;

#[test]
fn every_name_in_the_table_is_folded_and_stands_once_in_its_row() {
    for (family, names) in TABLE {
        let names: Vec<&str> = names.split(' ').collect();
        assert_eq!(names[0], fold(family).as_str());
        for (index, name) in names.iter().enumerate() {
            assert_eq!(fold(name), *name);
            assert!(!names[..index].contains(name), "{name} twice in {family}");
        }
    }
}

#[test]
fn names_find_their_families() {
    let cases: &[(&str, &[&str])] = &[
        ("Bash", &["bash"]),
        ("run_terminal_cmd", &["bash"]),
        ("shellToolCall", &["bash"]),
        ("read_file", &["read"]),
        ("write_to_file", &["write"]),
        ("oc_write", &["write"]),
        ("oc_searchFiles", &["glob", "grep"]),
        ("search_files", &["glob", "grep"]),
        ("delegateTask", &["task"]),
        ("mcp_skill", &["skill_mcp"]),
        ("update_plan", &["todowrite"]),
        ("list_dir", &["list"]),
        ("ocean_view", &[]),
        ("get_weather", &[]),
    ];
    for (name, want) in cases {
        assert_eq!(&families(&fold(name)).collect::<Vec<_>>(), want, "{name}");
    }
}

/// The aliases that settings and prompts of the TypeScript plugin rely on.
#[test]
fn the_plugins_aliases_are_covered() {
    let rows = [
        (
            "bash",
            "runcommand executecommand runterminalcommand terminalcommand shellcommand shell terminal bashcommand runbash executebash",
        ),
        ("edit", "ocedit strreplace"),
        ("write", "ocwrite writefile"),
        ("read", "ocread"),
        ("grep", "ocgrep"),
        (
            "glob",
            "findfiles searchfiles globfiles fileglob matchfiles",
        ),
        (
            "mkdir",
            "createdirectory makedirectory mkdirp createdir makefolder",
        ),
        (
            "delete",
            "rm delete deletefile deletepath deletedirectory remove removefile removepath unlink rmdir",
        ),
        ("stat", "getfileinfo fileinfo filestat pathinfo"),
        ("list", "ls listdirectory listfiles listdir readdir"),
        (
            "todowrite",
            "updatetodos updatetodostoolcall todowritetoolcall writetodos todowritefn",
        ),
        ("todoread", "readtodos readtodostoolcall todoreadtoolcall"),
        ("call_omo_agent", "callomoagent callagent invokeagent"),
        ("task", "delegatetask delegate runtask subagent"),
        ("skill", "useskill invokeskill runskill"),
        ("skill_mcp", "skillmcp runmcpskill invokeskillmcp mcpskill"),
        (
            "question",
            "askquestion askuser askuserquestion askquestions promptuser",
        ),
    ];
    for (family, names) in rows {
        for name in names.split_whitespace() {
            assert!(families(name).any(|of| of == family), "{name}");
        }
    }
}
