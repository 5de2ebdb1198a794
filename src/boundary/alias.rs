//! Which tools are the same thing under other names.
//!
//! A *family* is a kind of tool, named as OpenCode names it; a row lists the folded names under
//! which agents and clients know it: Cursor (CLI and editor), OpenCode, Codex, Claude Code, Gemini
//! CLI, Copilot, Cline and its kin. A name may belong to several families: which one is meant shows
//! in the arguments. To add an alias, add it to its row.

use std::{collections::HashMap, sync::LazyLock};

/// A name without case and punctuation, the form in which names are compared.
pub(super) fn fold(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The families that a folded name belongs to.
pub(super) fn families(folded: &str) -> impl Iterator<Item = &'static str> + use<> {
    // Plugins put `oc_` before the names of tools that they replace, Goose the name of its extension,
    // and old events of the agent end in `ToolCall`.
    let bare = folded.strip_suffix("toolcall").unwrap_or(folded);
    let bare = ["oc", "developer"]
        .iter()
        .find_map(|prefix| bare.strip_prefix(prefix))
        .filter(|rest| FAMILIES.contains_key(rest))
        .unwrap_or(bare);
    FAMILIES.get(bare).into_iter().flatten().copied()
}

/// Whether two names mean the same tool: `shell` is `bash`.
#[must_use]
pub fn is_same_tool(a: &str, b: &str) -> bool {
    let (a, b) = (fold(a), fold(b));
    a == b || families(&a).any(|family| families(&b).any(|other| other == family))
}

/// Whether a folded name is one of these.
pub(super) fn has(names: &str, folded: &str) -> bool {
    names.split_ascii_whitespace().any(|name| name == folded)
}

/// The families of each name, in the order of the table: a request names a hundred tools.
static FAMILIES: LazyLock<HashMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let mut families = HashMap::<&str, Vec<&str>>::new();
    for (family, names) in TABLE {
        for name in names.split_ascii_whitespace() {
            families.entry(name).or_default().push(family);
        }
    }
    families
});

/// Family, and its members' folded names, its own first.
const TABLE: &[(&str, &str)] = &[
    (
        "bash",
        "\
        bash shell terminal localshell execcommand executecommand execute runcommand \
        runterminalcmd runterminalcommand runinterminal runshellcommand terminalcommand \
        shellcommand bashcommand runbash runshell executebash executeshell pibash \
        runcommands",
    ),
    (
        "read",
        "\
        read readfile viewfile view openfile catfile getfilecontents piread \
        strreplacebasededittool strreplaceeditor texteditor readfiles",
    ),
    (
        "write",
        "\
        write writefile writetofile createfile createnewfile newfile savefile overwritefile \
        putfile piwrite strreplacebasededittool strreplaceeditor texteditor save create",
    ),
    (
        "edit",
        "\
        edit editfile strreplace stringreplace searchreplace searchandreplace replace \
        replaceinfile replacestringinfile modifyfile updatefile piedit \
        strreplacebasededittool strreplaceeditor texteditor editor singlefindandreplace",
    ),
    (
        "multiedit",
        "multiedit multistrreplace multireplacestringinfile multieditfile",
    ),
    (
        "apply_patch",
        "applypatch patch patchfile applydiff applyagentdiff",
    ),
    (
        "delete",
        "\
        delete deletefile deletefiles deletepath deletedirectory remove removefile \
        removepath rm unlink rmdir",
    ),
    (
        "list",
        "list ls listdir listdirectory listfiles readdir readdirectory pils tree",
    ),
    (
        "glob",
        "\
        glob globfiles globfilesearch fileglob filesearch findfiles find findpath \
        searchfiles matchfiles pifind fileglobsearch",
    ),
    (
        "grep",
        "\
        grep grepsearch grepfiles ripgrep rg searchfiles searchfilecontent searchtext \
        searchincode contentsearch pigrep searchcodebase",
    ),
    (
        "codesearch",
        "codesearch codebasesearch codebase semsearch semanticsearch searchcodebase",
    ),
    (
        "lints",
        "lints readlints diagnostics geterrors getdiagnostics lspdiagnostics",
    ),
    (
        "todowrite",
        "\
        todowrite updatetodos writetodos todowritefn updatetodolist managetodolist \
        updateplan todos checklist",
    ),
    ("todoread", "todoread readtodos todolist gettodos"),
    (
        "task",
        "\
        task delegatetask delegate runtask subagent runsubagent spawnagent agent newtask \
        launchagent",
    ),
    ("call_omo_agent", "callomoagent callagent invokeagent"),
    ("skill", "skill useskill invokeskill runskill skills"),
    (
        "skill_mcp",
        "skillmcp runmcpskill invokeskillmcp mcpskill useskillmcp",
    ),
    (
        "question",
        "\
        question askquestion askquestions askuser askuserquestion askfollowupquestion \
        requestuserinput promptuser",
    ),
    (
        "webfetch",
        "\
        webfetch fetch fetchurl fetchwebpage urlfetch readurl browse httpget webfetchtool \
        fetchwebcontent fetchurlcontent",
    ),
    (
        "websearch",
        "websearch searchweb googlewebsearch internetsearch websearchexa exasearch",
    ),
    ("plan", "plan createplan exitplanmode planexit"),
    (
        "mkdir",
        "mkdir createdirectory makedirectory mkdirp createdir makefolder createfolder",
    ),
    ("stat", "stat getfileinfo fileinfo filestat pathinfo"),
    ("generate_image", "generateimage imagegen createimage"),
];

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
