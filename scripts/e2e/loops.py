"""Loops of tool calls that take one start of the agent: its run waits for the results of each.

With `E2E_TURNS=respawn` no run waits, and each result starts the agent again. The server's own counts show which
of both happened. The model `replay-script` plays what a prompt spells out (src/replay/script.rs).
"""

import contextlib
import json
import re
import time
import urllib.request

from harness import TURNS, check

RESPAWN = TURNS == "respawn"
ONE_START = "a start for each request" if RESPAWN else "one start"
MODEL = "replay-script"
END = "That was all."
# The agent looks and edits by tools of its own, in its view.
VIEW = ["--native-reads", "true"]


def script(*calls):
    """A prompt that makes these calls one after the other, and then says the last word."""
    steps = [[{"say": f"Call {n}."}, {"tools": [call]}] for n, call in enumerate(calls, 1)]
    return json.dumps([*steps, [{"say": END}]])


def client_tool(name, arguments):
    """A call of a tool that Cursor has no equivalent of."""
    return {"mcp": {"server": "client", "tool": name, "args": arguments}}


def counts(server):
    """(starts of the agent, {how a request was served: number})."""
    with urllib.request.urlopen(server.url + "/metrics", timeout=10) as response:
        text = response.read().decode()
    runs = {}
    for run, number in re.findall(r'^open_cursor_turns_total\{.*run="(\w+)".*\} (\d+)$', text, re.M):
        runs[run] = runs.get(run, 0) + int(number)
    starts = re.search(r"^open_cursor_agent_starts_total (\d+)$", text, re.M)
    return int(starts[1]), runs


def native(workspace):
    """A prompt by which the agent edits one file twice and makes another, in its view."""
    (workspace / "view.txt").write_text("one\ntwo\nthree\n")
    path = str(workspace / "view.txt")
    return script(
        {"read": {"path": path}},
        {"edit": {"path": path, "old": "one", "new": "1"}},
        {"grep": {"pattern": "two", "path": path}},
        {"edit": {"path": path, "old": "two", "new": "2"}},
        {"write": {"path": str(workspace / "view-2.txt"), "text": "made\n"}},
    )


def eighteen(workspace):
    """A prompt for a command, 12 reads, 3 searches and 2 edits."""
    files = [workspace / f"file-{number}.txt" for number in range(12)]
    for file in files:
        file.write_text("a line\nanother\n")
    calls = [{"shell": {"command": "echo moin", "description": "Greet"}}]
    calls += [{"read": {"path": str(file)}} for file in files]
    calls += [{"grep": {"pattern": word, "path": str(files[0])}} for word in ("a", "line", "other")]
    calls += [{"edit": {"path": str(file), "old": "a line", "new": "a new line"}} for file in files[:2]]
    return script(*calls)


def check_eighteen(workspace):
    """Checks what the client has made of it."""
    changed = (workspace / "file-1.txt").read_text()
    check(changed == "a new line\nanother\n", f"the file holds {changed!r}")


def check_native(workspace):
    """Checks what the client has made of it."""
    check((workspace / "view.txt").read_text() == "1\n2\nthree\n", "the file is not as it should be")
    check((workspace / "view-2.txt").read_text() == "made\n", "the new file is not as it should be")


@contextlib.contextmanager
def starts(server, prompts, results):
    """Checks how often what is done meanwhile starts the agent: `prompts`, and then `results` in as many requests."""
    started, before = counts(server)
    wanted = {"fresh": prompts + results} if RESPAWN else {"fresh": prompts, "resumed": results}
    yield

    def seen():
        now, after = counts(server)
        served = {run: number - before.get(run, 0) for run, number in after.items()}
        parked = server.get("/health")["parked"]
        return {run: number for run, number in served.items() if number}, now - started, parked

    # A client may know of the end of its answer before the server has counted it.
    deadline = time.monotonic() + 10
    while seen() != (wanted, wanted["fresh"], 0) and time.monotonic() < deadline:
        time.sleep(0.05)
    served, new, parked = seen()
    check(served == wanted, f"expected requests served by {wanted}, got {served}")
    check(new == wanted["fresh"], f"{new} starts of the agent for {served}")
    check(parked == 0, f"{parked} runs still wait")
