"""The real Codex CLI as a client of open-cursor with the replay agent."""

import base64
import json
import os
import sys
import time

import loops
from harness import Server, check, main, run, step

SECONDS = 60

# An image of one pixel.
DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)

# A model of Codex's own catalogue whose tools are pieces of code.
CODE_MODE = "gpt-6-sol"

# What `replay-files` writes.
PATCHED = "hello-open-cursor.txt"

# The replay agent, with that model, which is its `replay-files`.
AGENT = """\
#!/bin/sh
case " $* " in
    *" models "*) "{binary}" replay-agent "$@" && echo "{model} - Replay" ; exit ;;
esac
for argument; do
    shift
    [ "$argument" = "{model}" ] && argument=replay-files
    set -- "$@" "$argument"
done
exec "{binary}" replay-agent "$@"
"""


class Codex:
    """`codex exec` with a home of its own, in the server's workspace."""

    def __init__(self, server, scratch):
        self.server = server
        self.workspace = server.workspace
        self.url = server.url
        # Codex takes no home below the system's directory for temporary files.
        self.home = scratch / "codex"
        self.home.mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "CODEX_HOME": str(self.home),
            "OPEN_CURSOR_API_KEY": "unused",
            "CODEX_API_KEY": "unused",
            # What no option stops ends here.
            "HTTP_PROXY": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
        }

    def options(self):
        provider = "model_providers.open-cursor"
        settings = [
            'model_provider="open-cursor"',
            f'{provider}.name="open-cursor"',
            f'{provider}.base_url="{self.url}/v1"',
            f'{provider}.env_key="OPEN_CURSOR_API_KEY"',
            f'{provider}.model_catalog_url="{self.url}/v1/models"',
            f'{provider}.wire_api="responses"',
        ]
        return [option for setting in settings for option in ("-c", setting)]

    def run(self, model, prompt, *options):
        """(exit status, events, stderr) of one prompt."""
        return self.execute([CODEX], *self.options(), *options, "-m", model, prompt)

    def execute(self, argv, *arguments):
        argv = [*argv, "exec", "--json", "--skip-git-repo-check"]
        # The workspace is a scratch directory, and the commands are the replay agent's.
        argv += ["--dangerously-bypass-approvals-and-sandbox", *arguments]
        status, out, err = run(argv, self.workspace, self.environment, SECONDS)
        return status, [json.loads(line) for line in out.splitlines() if line.startswith("{")], err

    def items(self, model, prompt):
        """The completed items of a turn that must succeed."""
        return self.completed(*self.run(model, prompt))

    @staticmethod
    def completed(status, events, err):
        check(status == 0, f"codex exited {status}: {events} {err}")
        check(events[-1]["type"] == "turn.completed", f"the last event is {events[-1]}")
        items = [event["item"] for event in events if event["type"] == "item.completed"]
        # Codex warns so of models that it does not know, among others.
        warnings = [item for item in items if item["type"] == "error"]
        check(not warnings and "ERROR" not in err, f"codex warns: {warnings} {err}")
        return items


def texts(items):
    return [item["text"] for item in items if item["type"] == "agent_message"]


def chat(codex, server):
    answer = server.ask("auto", "say hello").strip()
    items = codex.items("auto", "say hello")
    check(texts(items) == [answer], f"the answer is {answer!r}, but codex got {items}")


def thinking(codex):
    items = codex.items("replay-thinking", "think")
    thoughts = [item["text"] for item in items if item["type"] == "reasoning"]
    check(thoughts and thoughts[0].strip(), f"no reasoning: {items}")
    check(thoughts[0] not in texts(items)[-1], "the reasoning is repeated in the answer")


def shell(codex):
    items = codex.items("replay-shell", "run a command")
    commands = [item for item in items if item["type"] == "command_execution"]
    check(len(commands) == 1, f"expected one command: {items}")
    (command,) = commands
    check(command["exit_code"] == 0, f"the command failed: {command}")
    output = command["aggregated_output"].strip()
    check(output == "hello from the replay agent", f"it printed {output!r}")
    check(output in texts(items)[-1], f"the answer does not quote it: {texts(items)}")


def patch(codex, model="replay-files"):
    file = codex.workspace / PATCHED
    check(not file.exists(), f"{file} is there before the test")
    items = codex.items(model, "write a file")
    changes = [item for item in items if item["type"] == "file_change"]
    check(len(changes) == 1 and changes[0]["status"] == "completed", f"no patch was made: {items}")
    lines = file.read_text().splitlines()
    check(lines[0] == "Hello from open-cursor!" and len(lines) == 2, f"the file holds {lines}")


def other_tools(codex):
    """A model for which Codex's own catalogue has other tools gets the plain ones all the same."""
    argv = [CODEX, "debug", "models", "--bundled"]
    status, out, err = run(argv, codex.workspace, codex.environment, SECONDS)
    check(status == 0, f"codex debug models exited {status}: {err}")
    modes = {model["slug"]: model.get("tool_mode") for model in json.loads(out)["models"]}
    check(modes.get(CODE_MODE), f"Codex no longer has other tools for {CODE_MODE}: {modes}")
    patch(codex, CODE_MODE)


def started(codex):
    """`open-cursor run` starts Codex with nothing set up."""
    argv = [BINARY, "run", "--agent", "replay", "--reuse", "false", "--", CODEX]
    items = codex.completed(*codex.execute(argv, "say hello"))
    check("say hello" in texts(items)[-1], f"codex got {items}")


def resumed(codex):
    """A second prompt in the same conversation sends calls and outputs back."""
    argv = [CODEX, "exec", "resume", "--last", "--json", "--skip-git-repo-check", "-m", "auto"]
    argv += [*codex.options(), "once more"]
    status, out, err = run(argv, codex.workspace, codex.environment, SECONDS)
    check(status == 0, f"codex exited {status}: {out}{err}")
    check("once more" in out.splitlines()[-2], f"the answer is {out}")


def error(codex, model, expected, *options):
    """An error that is shown after one run of the agent: Codex repeats most requests five times."""
    before = len(codex.server.runs())
    status, events, err = codex.run(model, "say hello", *options)
    runs = len(codex.server.runs()) - before
    check(runs == 1, f"{runs} runs of the agent: {events}")
    check(status != 0, f"codex took the error for an answer: {events}")
    told = [event for event in events if event["type"] == "turn.failed"]
    check(told, f"no turn.failed: {events}")
    check(expected in json.dumps(told).lower(), f"no {expected!r} error was shown: {told}")


def own_provider(codex, server):
    """It tries a WebSocket first; our answer sends it to HTTP at once."""
    answer = server.ask("auto", "say hello").strip()
    options = ("-c", f'openai_base_url="{server.url}/v1"', "-m", "auto")
    started = time.monotonic()
    status, events, err = codex.execute([CODEX], *options, "say hello")
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    check(status == 0 and texts(items) == [answer], f"codex exited {status}: {events} {err}")
    again = [event for event in events if "econnecting" in json.dumps(event)]
    check(not again, f"it tried again for {time.monotonic() - started:.1f} s: {again}")


def loop(codex, server):
    """Ten calls of four tools: commands, patches in their own grammar, an image, a question about the goal."""
    (codex.workspace / "loop.txt").write_text("one\ntwo\n")
    (codex.workspace / "dot.png").write_bytes(base64.b64decode(DOT))
    tool = loops.client_tool

    def shell(command):
        return {"shell": {"command": command, "description": "Run it"}}

    def patched(*lines):
        return tool("apply_patch", {"input": "\n".join(["*** Begin Patch", *lines, "*** End Patch"])})

    calls = [
        shell("ls loop*"),
        shell("cat loop.txt"),
        shell("grep -n two loop.txt"),
        patched("*** Update File: loop.txt", "@@", " one", "-two", "+2", "+3"),
        shell("wc -l loop.txt"),
        patched("*** Add File: loop-2.txt", "+done"),
        tool("view_image", {"path": str(codex.workspace / "dot.png")}),
        tool("get_goal", {}),
        shell("cat loop.txt loop-2.txt"),
        patched("*** Delete File: loop.txt"),
    ]
    with loops.starts(server, 1, len(calls)):
        items = codex.items(loops.MODEL, loops.script(*calls))
    commands = [item["aggregated_output"].split() for item in items if item["type"] == "command_execution"]
    wanted = [["loop.txt"], ["one", "two"], ["2:two"], ["3", "loop.txt"], ["one", "2", "3", "done"]]
    check(commands == wanted, f"the commands printed {commands}")
    changes = [item["status"] for item in items if item["type"] == "file_change"]
    check(changes == ["completed"] * 3, f"the patches ended so: {changes}")
    left = sorted(path.name for path in codex.workspace.glob("loop*"))
    check(left == ["loop-2.txt"], f"left are {left}")
    check(texts(items)[-1].endswith(loops.END), f"the answer is {texts(items)}")


def view(codex, server):
    with loops.starts(server, 1, 1):
        items = codex.items(loops.MODEL, loops.native(codex.workspace))
    patches = [item for item in items if item["type"] == "file_change"]
    check(len(patches) == 1, f"expected one patch: {items}")
    check(texts(items)[-1].endswith(loops.END), f"the answer is {texts(items)}")
    loops.check_native(codex.workspace)


def proof(server, scratch):
    codex = Codex(server, scratch)
    with step("chat: the agent's answer arrives, once", SECONDS):
        chat(codex, server)
    with step("reasoning: shown, apart from the answer", SECONDS):
        thinking(codex)
    with step("tool loop: codex runs a command and gets the answer", SECONDS):
        shell(codex)
    with step("the conversation goes on", SECONDS):
        resumed(codex)
    with step(f"ten calls: {loops.ONE_START}", SECONDS):
        loop(codex, server)
    with step("open-cursor run -- codex: nothing to set up", SECONDS):
        started(codex)
    with step("not logged in: an error that says so", SECONDS):
        error(codex, "replay-error-login", "log")
    with step("usage limit: an error that says so", 30):
        error(codex, "replay-error-usage-limit", "quota")
    with step("usage limit before the first word: the same", 30):
        quiet = ("-c", 'model_reasoning_summary="none"')
        error(codex, "replay-error-usage-limit", "quota", *quiet)
    with step("Codex's own provider with another address: no WebSocket, and no wait for it", 30):
        own_provider(codex, server)
    scratch /= "other-tools"
    scratch.mkdir()
    agent = scratch / "agent"
    agent.write_text(AGENT.format(binary=BINARY, model=CODE_MODE))
    agent.chmod(0o755)
    # The agent writes by a tool of its own, which a run that is served Codex's tools has not.
    with Server(BINARY, scratch, agent=agent, turns="respawn") as server:
        codex = Codex(server, scratch)
        with step("patch: a new file becomes codex's own grammar", SECONDS):
            patch(codex)
        with step("patch: also by a model for which codex has other tools", SECONDS):
            (codex.workspace / PATCHED).unlink()
            other_tools(codex)
    if loops.RESPAWN:
        return
    scratch = scratch.parent / "view"
    scratch.mkdir()
    with Server(BINARY, scratch, loops.VIEW, turns="parked:view") as server:
        with step("changes in the agent's view: one patch, one start", SECONDS):
            view(Codex(server, scratch), server)


if __name__ == "__main__":
    CODEX, BINARY = sys.argv[1:]
    main(BINARY, proof, "--dump-dir", "dumps")
