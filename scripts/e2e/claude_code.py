"""Real Claude Code as a client of open-cursor with the replay agent."""

import json
import os
import sys

import loops
from harness import Server, check, main, run, step

SECONDS = 60


class ClaudeCode:
    """`claude -p` with a home of its own, in the server's workspace."""

    def __init__(self, server, scratch):
        self.workspace = server.workspace
        home = scratch / "claude"
        home.mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(home),
            "CLAUDE_CONFIG_DIR": str(home / "config"),
            "ANTHROPIC_BASE_URL": server.url,
            "ANTHROPIC_AUTH_TOKEN": "unused",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            # What no option stops ends here.
            "HTTP_PROXY": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
        }

    def run(self, model, prompt, *options):
        """(exit status, stdout, stderr) of one prompt."""
        argv = [CLAUDE, "-p", prompt, "--model", model, "--permission-mode", "acceptEdits"]
        argv += ["--allowedTools", "Bash", *options]
        return run(argv, self.workspace, self.environment, SECONDS)

    def messages(self, model, prompt, *options):
        """What happened, in order, as Claude Code's own JSON messages."""
        options = ["--output-format", "stream-json", "--verbose", *options]
        status, out, err = self.run(model, prompt, *options)
        check(status == 0, f"claude exited {status}: {out}{err}")
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def blocks(messages, kind):
    """All content blocks of one type."""
    said = [m["message"]["content"] for m in messages if m["type"] in ("assistant", "user")]
    found = [block for content in said if isinstance(content, list) for block in content]
    return [block for block in found if block["type"] == kind]


def result_of(messages):
    last = messages[-1]
    check(last["type"] == "result" and not last["is_error"], f"the last message is {last}")
    return last["result"]


def executed(messages, expected):
    """Checks that Claude Code executed exactly these tools; returns their results' texts."""
    names = [block["name"] for block in blocks(messages, "tool_use")]
    check(names == expected, f"expected the calls {expected}, got {names}")
    results = blocks(messages, "tool_result")
    check(len(results) == len(names), f"{len(results)} results for {len(names)} calls")
    for one in results:
        check(not one.get("is_error"), f"a tool did not succeed: {one}")
    return [json.dumps(one["content"]) for one in results]


def chat(claude, server):
    answer = server.ask("auto", "say hello").strip()
    status, out, err = claude.run("auto", "say hello")
    check(status == 0, f"claude exited {status}: {out}{err}")
    check(out.strip() == answer, f"the answer is {answer!r}, but claude printed {out!r}")


def thinking(claude):
    messages = claude.messages("replay-thinking", "think")
    thoughts = [block["thinking"] for block in blocks(messages, "thinking")]
    check(any(thought.strip() for thought in thoughts), f"no thinking: {messages}")
    check(not any(thought in result_of(messages) for thought in thoughts), "thoughts in the answer")


def files(claude):
    file = claude.workspace / "hello-open-cursor.txt"
    check(not file.exists(), f"{file} is there before the test")
    messages = claude.messages("replay-files", "write a file and read it")
    _, read = executed(messages, ["Write", "Read"])
    line = file.read_text().splitlines()[0]
    check(line in read, f"Read did not return {line!r}: {read}")
    check(line in result_of(messages), f"the answer does not quote {line!r}: {result_of(messages)!r}")


def edit(claude):
    file = claude.workspace / "replay-note.md"
    executed(claude.messages("replay-write", "write the note"), ["Write"])
    file.write_text("# A note\n\nWith a second line.\n")
    # Claude Code lets a file be edited only if it was read in the same conversation.
    messages = claude.messages("replay-edit", "change the note")
    names = [block["name"] for block in blocks(messages, "tool_use")]
    check(names == ["Edit"], f"expected an Edit, got {names}")
    call = blocks(messages, "tool_use")[0]["input"]
    wanted = {"file_path": str(file), "old_string": "# A note", "new_string": "# A changed note"}
    check({key: call.get(key) for key in wanted} == wanted, f"the edit is {call}")


def shell(claude):
    messages = claude.messages("replay-shell", "run a command")
    (output,) = executed(messages, ["Bash"])
    check("hello from the replay agent" in output, f"Bash answered {output}")


def continued(claude):
    """A second prompt in the same conversation sends thinking, calls and results back."""
    messages = claude.messages("auto", "once more", "--continue")
    check("once more" in result_of(messages), f"the answer is {result_of(messages)!r}")


def error(claude, model, expected):
    status, out, err = claude.run(model, "say hello")
    check(status != 0, f"claude took the error for an answer: {out!r}")
    check(expected in (out + err).lower(), f"no {expected!r} error was shown: {out!r} {err!r}")


def loop(claude, server):
    """Ten calls of eight tools, a subagent's among them, which makes a call of its own meanwhile."""
    file, other = claude.workspace / "loop.txt", claude.workspace / "loop-2.txt"
    file.write_text("one\ntwo\n")
    tool = loops.client_tool

    def shell(command):
        return {"shell": {"command": command, "description": "Run it"}}

    inner = loops.script({"read": {"path": str(file)}})
    task = {"description": "Read a file", "prompt": inner, "subagent_type": "general-purpose"}
    calls = [
        (shell("ls loop*"), "Bash", "loop.txt"),
        ({"read": {"path": str(file)}}, "Read", "two"),
        (shell("grep -n two loop.txt"), "Bash", "2:two"),
        ({"edit": {"path": str(file), "old": "two", "new": "2\n3"}}, "Edit", str(file)),
        (shell("wc -l loop.txt"), "Bash", "3 loop.txt"),
        ({"write": {"path": str(other), "text": "done\n"}}, "Write", str(other)),
        ({"read": {"path": str(other)}}, "Read", "done"),
        (tool("TaskCreate", {"subject": "Look", "description": "Look again"}), "TaskCreate", "Look"),
        (tool("TaskList", {}), "TaskList", "Look"),
        (tool("Agent", task), "Agent", loops.END),
    ]
    # The subagent's prompt and its one result besides.
    with loops.starts(server, 2, len(calls) + 1):
        messages = claude.messages(loops.MODEL, loops.script(*(call for call, _, _ in calls)))
    own = [message for message in messages if not message.get("parent_tool_use_id")]
    results = executed(own, [name for _, name, _ in calls])
    for (_, name, wanted), result in zip(calls, results):
        check(wanted in result, f"{name} returned {result}, not {wanted!r}")
    check(result_of(messages).endswith(loops.END), f"the answer is {result_of(messages)!r}")


def view(claude, server):
    """Claude Code refuses an edit of a file that it has not read, so it is asked to read it."""
    with loops.starts(server, 1, 1):
        messages = claude.messages(loops.MODEL, loops.native(claude.workspace))
    executed(messages, ["Read", "Edit", "Write"])
    check(result_of(messages).endswith(loops.END), f"the answer is {result_of(messages)!r}")
    loops.check_native(claude.workspace)


def proof(server, scratch):
    claude = ClaudeCode(server, scratch)
    with step("chat: the agent's answer is printed, once", SECONDS):
        chat(claude, server)
    with step("thinking: shown, apart from the answer", SECONDS):
        thinking(claude)
    with step("tool loop: claude writes a file, reads it, gets the answer", SECONDS):
        files(claude)
    with step("the conversation goes on", SECONDS):
        continued(claude)
    with step("shell: claude runs the command", SECONDS):
        shell(claude)
    with step("edit: the call is the exact replacement", SECONDS):
        edit(claude)
    with step(f"ten calls, the last of a subagent that makes one: {loops.ONE_START}", SECONDS):
        loop(claude, server)
    with step("not logged in: an error that says so", SECONDS):
        error(claude, "replay-error-login", "log")
    with step("usage limit: an error that says so, not retried", 30):
        error(claude, "replay-error-usage-limit", "limit")
    if loops.RESPAWN:
        return
    scratch /= "view"
    scratch.mkdir()
    with Server(BINARY, scratch, loops.VIEW, turns="parked:view") as server:
        with step("edits of unread files in the agent's view: one start, and all are made", SECONDS):
            view(ClaudeCode(server, scratch), server)


if __name__ == "__main__":
    CLAUDE, BINARY = sys.argv[1:]
    # A run that waits takes no place: the subagent has one.
    main(BINARY, proof, "--max-running", "1")
