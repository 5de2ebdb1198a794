"""Every tool that OpenCode offers, called in Cursor's shape and executed by OpenCode itself.

The model `replay-script` makes the calls that the prompt spells out. What counts is OpenCode's own
record of each call, and the files.
"""

import contextlib
import http.server
import json
import threading
import time

from harness import check, step
from opencode_client import calls_of

SECONDS = 60
PAGE = "<html><body><h1>A page of our own</h1></body></html>"
SKILL = """---
name: greet
description: How to greet, for the test of the skill tool.
---
Say "moin".
"""


class Player:
    """Sends scripts to an OpenCode server, each in a session of its own."""

    def __init__(self, served, workspace):
        self.served = served
        self.workspace = workspace
        self.executed = set()

    def play(self, steps, expected, model="replay-script", session=None):
        """Plays the steps; OpenCode must execute exactly the `expected` tools, all of them with
        success. Returns their states."""
        session = session or self.served.session()
        calls, text = self.prompt(session, model, steps)
        check([name for name, _ in calls] == expected, f"expected {expected}, got {calls}; {text}")
        check(text.endswith("That was all."), f"the answer does not end as it should: {text!r}")
        return [state for _, state in calls]

    def prompt(self, session, model, steps):
        calls, text = self.served.prompt(session, model, json.dumps(steps))
        for name, state in calls:
            check(state["status"] == "completed", f"{name} did not succeed: {state}")
        self.executed |= {name for name, _ in calls}
        return calls, text

    def one(self, tool, expected, model="replay-script"):
        """Plays one native call."""
        return self.play(steps([tool]), [expected], model)[0]

    def path(self, name):
        return str(self.workspace / name)

    def file(self, name, text):
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


def steps(*batches):
    """One step for each batch of calls, and a last word."""
    said = [[{"say": "Now this."}, {"tools": batch}] for batch in batches]
    return said + [[{"say": "That was all."}]]


def text_call(name, arguments):
    """A call by the text protocol: Cursor has no tool like it."""
    call = json.dumps({"name": name, "arguments": arguments})
    return [{"say": f"Now this.\n<tool_call>{call}</tool_call>"}]


def bash(player):
    call = {"shell": {"command": "echo moin; pwd", "description": "Greet"}}
    state = player.one(call, "bash")
    check(state["output"].split() == ["moin", str(player.workspace)], f"bash said {state}")


def read(player):
    player.file("long.txt", "".join(f"line {n}\n" for n in range(1, 30)))
    state = player.one({"read": {"path": player.path("long.txt"), "limit": 3}}, "read")
    check("line 3" in state["output"] and "line 4" not in state["output"], f"read said {state}")
    state = player.one({"ls": {"path": str(player.workspace)}}, "read")
    check("long.txt" in state["output"], f"a listing is a read of the directory: {state}")


def search(player):
    player.file("src/needle.py", "hay = 1\nneedle = 2\n")
    state = player.one({"grep": {"pattern": "^needle", "path": str(player.workspace)}}, "grep")
    check("src/needle.py" in state["output"], f"grep said {state}")
    call = {"glob": {"directory": str(player.workspace), "pattern": "**/*.py"}}
    state = player.one(call, "glob")
    check("needle.py" in state["output"], f"glob said {state}")


def todos(player):
    todo = [
        {"id": "1", "content": "Look", "status": "TODO_STATUS_COMPLETED"},
        {"id": "2", "content": "Think", "status": "TODO_STATUS_IN_PROGRESS"},
    ]
    state = player.one({"todo": {"todos": todo}}, "todowrite")
    listed = [(t["content"], t["status"]) for t in state["input"]["todos"]]
    check(listed == [("Look", "completed"), ("Think", "in_progress")], f"todowrite said {state}")


@contextlib.contextmanager
def page():
    """The address of a page on this machine."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def webfetch(player):
    with page() as url:
        state = player.one({"web_fetch": {"url": url}}, "webfetch")
    check("A page of our own" in state["output"], f"webfetch said {state}")


def task(player):
    """The subagent is asked with a script of its own, and calls a tool itself."""
    player.file("for-the-subagent.txt", "the subagent's find\n")
    inner = json.dumps(steps([{"read": {"path": player.path("for-the-subagent.txt")}}]))
    state = player.one({"task": {"description": "Read a file", "prompt": inner}}, "task")
    check("That was all." in state["output"], f"task said {state}")
    (name, read), = calls_of(player.served.messages(state["metadata"]["sessionId"]))
    check(name == "read" and "the subagent's find" in read["output"], f"the subagent's: {read}")


def skill(player):
    script = [text_call("skill", {"name": "greet"}), [{"say": "That was all."}]]
    state = player.play(script, ["skill"])[0]
    check('Say "moin".' in state["output"], f"skill said {state}")


def question(player):
    """OpenCode offers it where someone can answer: here, through its interface."""
    options = [{"id": "r", "label": "Red"}, {"id": "b", "label": "Blue"}]
    asked = {"id": "q", "prompt": "Which colour?", "options": options, "allowMultiple": False}

    def answer():
        for _ in range(SECONDS * 10):
            for request in player.served.call("/question"):
                path = f"/question/{request['id']}/reply"
                player.served.call(path, {"answers": [["Blue"]]})
                return
            time.sleep(0.1)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    call = {"ask_question": {"title": "Pick", "questions": [asked]}}
    state = player.one(call, "question")
    check("Blue" in state["output"], f"question said {state}")


# name: (text before or None, how Cursor's agent changes it, text after or None)
TWENTY = [f"line {n}" for n in range(1, 21)]
CHANGES = {
    "a new file": (None, {"write": {"text": "one\ntwo\n"}}, "one\ntwo\n"),
    "in a new directory": (None, {"write": {"text": "x\n"}}, "x\n", "deep/er/"),
    "one word": ("one\ntwo\nthree\n", {"edit": {"old": "two", "new": "2"}}, "one\n2\nthree\n"),
    "with the old text": (
        "one\ntwo\n", {"replace": {"old": "one", "new": "1"}}, "1\ntwo\n",
    ),
    "one of many equal lines": (
        "x\n" * 9, {"edit": {"old": "x\nx\nx\nx\nx\n", "new": "x\nx\nx\nx\ny\n"}},
        "x\n" * 4 + "y\n" + "x\n" * 4,
    ),
    "several hunks": (
        "\n".join(TWENTY) + "\n",
        {"patch": {"edits": [{"old": "line 2\n", "new": "line 2a\nline 2b\n"},
                             {"old": "line 11\n", "new": ""},
                             {"old": "line 20", "new": "the end"}]}},
        "\n".join(["line 1", "line 2a", "line 2b", *TWENTY[2:10], *TWENTY[11:19], "the end"])
        + "\n",
    ),
    "CRLF": (
        "one\r\ntwo\r\nthree\r\n", {"edit": {"old": "two", "new": "2\r\n2"}},
        "one\r\n2\r\n2\r\nthree\r\n",
    ),
    "no final newline": ("one\ntwo", {"edit": {"old": "one", "new": "1"}}, "1\ntwo"),
    "losing the final newline": ("one\ntwo\n", {"edit": {"old": "two\n", "new": "2"}}, "one\n2"),
    "getting a final newline": ("one\ntwo", {"edit": {"old": "two", "new": "two\n"}}, "one\ntwo\n"),
    "emptied": ("one\n", {"edit": {"old": "one\n", "new": ""}}, ""),
    "a patch in the text": (
        "a\n*** End Patch\nb\n", {"edit": {"old": "a\n", "new": "c\n"}}, "c\n*** End Patch\nb\n",
    ),
    "not only ASCII": ("Grüße\n", {"edit": {"old": "ü", "new": "\u0308u"}}, "Gr\u0308uße\n"),
    "deleted": ("gone\n", {"delete": {}}, None),
}

# OpenCode's apply_patch ends every text with a newline, whatever the patch says.
ENDS_LINES = {"no final newline", "losing the final newline"}


def changes(player, model, kinds, kept=lambda name, text: text):
    """Every kind of change, by the tools that this model is offered."""
    folder = f"changes-{model}"
    for name, (before, call, after, *deeper) in CHANGES.items():
        file = f"{folder}/{''.join(deeper)}{name}.txt"
        if before is not None:
            player.file(file, before)
        (kind, arguments), = call.items()
        arguments = {"path": player.path(file), **arguments}
        calls, text = player.prompt(player.served.session(), model, steps([{kind: arguments}]))
        what = f"{name}: {calls}; {text}"
        check(calls and {tool for tool, _ in calls} <= kinds, what)
        path = player.workspace / file
        found = path.read_bytes().decode() if path.exists() else None
        check(found == kept(name, after), f"{what}: {found!r} instead of {after!r}")


def edit_and_write(player):
    changes(player, "replay-script", {"edit", "write", "bash"})


def patch(player):
    def kept(name, text):
        return text + "\n" if name in ENDS_LINES else text

    changes(player, "replay-gpt-script", {"apply_patch"}, kept)


def several_files(player):
    """One batch that changes three files: three calls of edit and write, one of apply_patch."""
    for model, expected in [
        ("replay-script", ["edit", "write", "bash"]),
        ("replay-gpt-script", ["apply_patch"]),
    ]:
        player.file("a.txt", "one\ntwo\n")
        player.file("c.txt", "gone\n")
        b = player.workspace / "b.txt"
        b.unlink(missing_ok=True)
        batch = [
            {"patch": {"path": player.path("a.txt"), "edits": [{"old": "two", "new": "2"}]}},
            {"write": {"path": str(b), "text": "new\n"}},
            {"delete": {"path": player.path("c.txt")}},
        ]
        calls, text = player.prompt(player.served.session(), model, steps(batch))
        check([name for name, _ in calls] == expected, f"expected {expected}, got {calls}; {text}")
        check((player.workspace / "a.txt").read_text() == "one\n2\n", f"a.txt: {calls}")
        check(b.read_text() == "new\n", f"b.txt: {calls}")
        check(not (player.workspace / "c.txt").exists(), f"c.txt: {calls}")


def ten_in_a_row(player):
    """A conversation of eleven requests, each with one more result than the last."""
    player.file("loop.txt", "one\ntwo\n")
    loop = player.path("loop.txt")
    shell = {"shell": {"command": "wc -l loop.txt", "description": "Count lines"}}
    with page() as url:
        script = steps(
            [{"glob": {"directory": str(player.workspace), "pattern": "loop.*"}}],
            [{"read": {"path": loop}}],
            [{"grep": {"pattern": "two", "path": str(player.workspace)}}],
            [{"edit": {"path": loop, "old": "two", "new": "2\n3"}}],
            [shell],
            [{"write": {"path": player.path("loop-2.txt"), "text": "done\n"}}],
            [{"todo": {"todos": [{"id": "1", "content": "x", "status": "TODO_STATUS_PENDING"}]}}],
            [{"web_fetch": {"url": url}}],
            [{"task": {"description": "Say it", "prompt": '[[{"say": "The subagent is done."}]]'}}],
        )
        script.insert(-1, text_call("skill", {"name": "greet"}))
        states = player.play(
            script,
            ["glob", "read", "grep", "edit", "bash", "write", "todowrite", "webfetch", "task",
             "skill"],
        )
    check("3 loop.txt" in states[4]["output"], f"the edit was not there for bash: {states[4]}")


def nothing_left_out(player):
    """OpenCode's own list of what it offers to either model."""
    for model in ["replay-script", "replay-gpt-script"]:
        listed = player.served.call(f"/experimental/tool?provider=cursor-acp&model={model}")
        offered = {tool["id"] for tool in listed} - NEVER_OFFERED
        check(len(offered) > 8, f"the list is too short: {offered}")
        left = offered - player.executed
        check(not left, f"offered to {model} and never executed: {left}")


# OpenCode's own answer to a call that is none.
NEVER_OFFERED = {"invalid"}

STEPS = [
    ("bash", bash),
    ("read, of a file and for ls", read),
    ("grep and glob", search),
    ("todowrite", todos),
    ("webfetch", webfetch),
    ("task: a subagent that uses a tool", task),
    ("skill, by the text protocol", skill),
    ("question", question),
    (f"edit, write, bash: {len(CHANGES)} kinds of change, byte for byte", edit_and_write),
    (f"apply_patch: {len(CHANGES)} kinds of change", patch),
    ("three files in one batch", several_files),
    ("ten tools in one conversation", ten_in_a_row),
    ("no tool that OpenCode offers is left out", nothing_left_out),
]


# Cursor's agent edits by itself, and only in a view may it: the exact calls come from there.
IN_A_VIEW = {edit_and_write, patch, several_files, ten_in_a_row, nothing_left_out}


def proof(opencode, server):
    view = server.get("/health")["fence"]["view"]
    skill_file = opencode.workspace / ".opencode/skills/greet/SKILL.md"
    skill_file.parent.mkdir(parents=True)
    skill_file.write_text(SKILL)
    with opencode.served() as served:
        player = Player(served, opencode.workspace)
        for title, body in STEPS:
            if body in IN_A_VIEW and view["state"] != "enforced":
                print(f"   {title} ... skipped: no view here: {view}")
                continue
            with step(title, SECONDS):
                body(player)
