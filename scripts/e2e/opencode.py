"""Real OpenCode as a client: chats, tool loops, every tool that it offers, errors."""

import sys

import loops
import opencode_loop
import opencode_run
import opencode_tools
import opencode_variants
import opencode_view
from harness import Server, check, main, step
from opencode_client import SECONDS, OpenCode


def texts(events):
    return [event["part"]["text"] for event in events if event["type"] == "text"]


def completed(events, expected):
    """Checks that OpenCode executed exactly these tools, each once, and returns their states."""
    parts = [event["part"] for event in events if event["type"] == "tool_use"]
    # Parallel calls are reported as they end; what matters is when they began.
    parts.sort(key=lambda part: part["state"]["time"]["start"])
    seen = [part["tool"] for part in parts]
    check(seen == expected, f"expected the calls {expected}, got {seen}")
    for part in parts:
        check(part["state"]["status"] == "completed", f"{part['tool']} did not succeed: {part}")
    return [part["state"] for part in parts]


def chat(opencode, server):
    # One word: OpenCode puts quotes around more, and the replay agent repeats what it was asked.
    answer = server.ask("auto", "hello")
    check("hello" in answer, f"the replay agent does not answer what it was asked: {answer!r}")
    status, out, err = opencode.run("auto", "hello")
    check(status == 0, f"opencode exited {status}: {out}{err}")
    check(answer.strip() in out, f"the answer is {answer!r}, but opencode printed {out!r}")
    check(out.count(answer.strip()) == 1, f"the answer was said twice: {out!r}")


def tokens(opencode):
    steps = [e for e in opencode.events("auto", "hello") if e["type"] == "step_finish"]
    check([step["part"]["reason"] for step in steps] == ["stop"], f"steps: {steps}")
    used = steps[0]["part"]["tokens"]
    check(used["input"] > 0 and used["output"] > 0, f"OpenCode counts no tokens: {used}")


def file_loop(opencode):
    file = opencode.workspace / "hello-open-cursor.txt"
    check(not file.exists(), f"{file} is there before the test")
    events = opencode.events("replay-files", "go")
    _, read = completed(events, ["write", "read"])
    check(file.is_file(), f"{file} was not written")
    lines = file.read_text().split("\n")
    check(lines[0], f"{file} is empty")
    for line in lines:
        check(line in read["output"], f"read did not return {line!r}: {read}")
    check(lines[0] in texts(events)[-1], f"the answer does not quote {lines[0]!r}: {events}")


def edit(opencode):
    file = opencode.workspace / "replay-note.md"
    completed(opencode.events("replay-write", "go"), ["write"])
    before = file.read_text()
    completed(opencode.events("replay-edit", "go"), ["edit"])
    check(file.read_text() != before, f"{file} was not changed: {before!r}")
    check(len(file.read_text().split("\n")) == len(before.split("\n")), f"{file} lost lines")


def parallel(opencode):
    (opencode.workspace / "README.md").write_text("a readme for the test\n")
    events = opencode.events("replay-parallel", "go")
    read, bash = completed(events, ["read", "bash"])
    check("a readme for the test" in read["output"], f"read returned {read}")
    check(str(opencode.workspace) in bash["output"], f"bash returned {bash}")


def error(opencode, model, expected):
    status, out, err = opencode.run(model, "hello")
    check(status != 0, f"opencode took the error for an answer: {out!r}")
    check(not out.strip(), f"opencode printed an answer: {out!r}")
    check("Error" in err and expected in err.lower(), f"no {expected!r} error was shown: {err!r}")


def broken(opencode):
    status, out, err = opencode.run("replay-error-truncated", "hello")
    check(status != 0, f"opencode took a broken stream for an answer: {out!r}")
    check("Error" in err, f"no error was shown: {err!r}")


def proof(server, scratch):
    opencode = OpenCode(OPENCODE, RIPGREP, server, scratch)
    with step("opencode starts (its first run sets up its database)", SECONDS):
        opencode.version(scratch)
    with step("chat: the agent's answer is printed, once", SECONDS):
        chat(opencode, server)
    with step("usage: OpenCode counts tokens", SECONDS):
        tokens(opencode)
    with step("tool loop: opencode writes a file, reads it, gets the answer", SECONDS):
        file_loop(opencode)
    with step("edit: opencode changes a word of a file", SECONDS):
        edit(opencode)
    with step("two tools at once: both run", SECONDS):
        parallel(opencode)
    opencode_loop.proof(opencode, server)
    opencode_run.proof(opencode, BINARY, scratch)
    opencode_variants.proof(opencode, BINARY, scratch)
    with step("not logged in: an error that says so, no answer", SECONDS):
        error(opencode, "replay-error-login", "log")
    with step("usage limit: shown at once, not retried for 75 s", 30):
        error(opencode, "replay-error-usage-limit", "limit")
    with step("the agent breaks off: an error", 30):
        broken(opencode)
    # They are called by the agent's own tools, which a run that is served OpenCode's has not.
    scratch /= "tools"
    scratch.mkdir()
    with Server(BINARY, scratch, turns="respawn") as server:
        opencode.use(server)
        opencode_tools.proof(opencode, server)
    if loops.RESPAWN:
        return
    scratch = scratch.parent / "view"
    scratch.mkdir()
    with Server(BINARY, scratch, loops.VIEW, turns="parked:view") as server:
        opencode.use(server)
        opencode_view.proof(opencode, server)
    scratch = scratch.parent / "reads"
    scratch.mkdir()
    with Server(BINARY, scratch, loops.VIEW, turns="parked:mcp") as server:
        opencode.use(server)
        with step("the agent reads by its own tools and asks for a command: one start", SECONDS):
            opencode_view.reads(opencode, server)


if __name__ == "__main__":
    OPENCODE, RIPGREP, BINARY = sys.argv[1:]
    # A run that waits takes no place: the subagent has one.
    main(BINARY, proof, "--max-running", "1")
