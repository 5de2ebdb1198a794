"""The real Codex CLI as a client of open-cursor with the replay agent."""

import json
import os
import sys

from harness import check, main, run, step

SECONDS = 60

# Codex offers its patch tool for models that its catalogue says can use it.
CATALOGUED = "replay-files"


class Codex:
    """`codex exec` with a home of its own, in the server's workspace."""

    def __init__(self, server, scratch):
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
            f'{provider}.wire_api="responses"',
            f"{provider}.request_max_retries=0",
            f"{provider}.stream_max_retries=0",
        ]
        return [option for setting in settings for option in ("-c", setting)]

    def run(self, model, prompt, *options):
        """(exit status, events, stderr) of one prompt."""
        argv = [CODEX, "exec", "--json", "--skip-git-repo-check", "-m", model, *self.options()]
        # The workspace is a scratch directory, and the commands are the replay agent's.
        argv += ["--dangerously-bypass-approvals-and-sandbox", *options, prompt]
        status, out, err = run(argv, self.workspace, self.environment, SECONDS)
        return status, [json.loads(line) for line in out.splitlines() if line.startswith("{")], err

    def items(self, model, prompt, *options):
        """The completed items of a turn that must succeed."""
        status, events, err = self.run(model, prompt, *options)
        check(status == 0, f"codex exited {status}: {events} {err}")
        check(events[-1]["type"] == "turn.completed", f"the last event is {events[-1]}")
        return [event["item"] for event in events if event["type"] == "item.completed"]

    def catalogue(self):
        """Codex's own entry of a model with the patch tool, under the replay model's name."""
        status, out, err = run([CODEX, "debug", "models"], self.workspace, self.environment, SECONDS)
        check(status == 0, f"codex debug models exited {status}: {err}")
        models = json.loads(out)["models"]
        able = [m for m in models if m["apply_patch_tool_type"] == "freeform" and not m.get("tool_mode")]
        check(able, "Codex knows no model with its patch tool and without code mode")
        able[0]["slug"] = CATALOGUED
        file = self.home / "models.json"
        file.write_text(json.dumps({"models": able[:1]}))
        return ["-c", f'model_catalog_json="{file}"']


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


def patch(codex):
    file = codex.workspace / "hello-open-cursor.txt"
    check(not file.exists(), f"{file} is there before the test")
    items = codex.items(CATALOGUED, "write a file", *codex.catalogue())
    changes = [item for item in items if item["type"] == "file_change"]
    check(len(changes) == 1 and changes[0]["status"] == "completed", f"no patch was made: {items}")
    lines = file.read_text().splitlines()
    check(lines[0] == "Hello from open-cursor!" and len(lines) == 2, f"the file holds {lines}")


def resumed(codex):
    """A second prompt in the same conversation sends calls and outputs back."""
    argv = [CODEX, "exec", "resume", "--last", "--json", "--skip-git-repo-check", "-m", "auto"]
    argv += [*codex.options(), "once more"]
    status, out, err = run(argv, codex.workspace, codex.environment, SECONDS)
    check(status == 0, f"codex exited {status}: {out}{err}")
    check("once more" in out.splitlines()[-2], f"the answer is {out}")


def error(codex, model, expected):
    status, events, err = codex.run(model, "say hello")
    check(status != 0, f"codex took the error for an answer: {events}")
    told = [event for event in events if event["type"] == "turn.failed"]
    check(told, f"no turn.failed: {events}")
    check(expected in json.dumps(told).lower(), f"no {expected!r} error was shown: {told}")


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
    with step("patch: codex applies its own tool's grammar", SECONDS):
        patch(codex)
    with step("not logged in: an error that says so", SECONDS):
        error(codex, "replay-error-login", "log")
    with step("usage limit: an error that says so", 30):
        error(codex, "replay-error-usage-limit", "quota")


if __name__ == "__main__":
    CODEX, BINARY = sys.argv[1:]
    main(BINARY, proof)
