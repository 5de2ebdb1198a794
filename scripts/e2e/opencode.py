"""Real OpenCode, isolated and offline, as a client of open-cursor with the replay agent."""

import json
import os
import sys

from harness import check, main, run, step

SECONDS = 90


class OpenCode:
    """`opencode run` with a home, a configuration and a workspace of its own."""

    def __init__(self, server, scratch):
        self.workspace = server.workspace
        models = [model["id"] for model in server.get("/v1/models")["data"]]
        check("replay-files" in models, f"the replay agent's models are missing: {models}")
        provider = {
            "npm": "@ai-sdk/openai-compatible",  # bundled in OpenCode, not fetched
            "name": "open-cursor",
            "options": {"baseURL": server.url + "/v1", "apiKey": "unused"},
            "models": {model: {"name": model} for model in models},
        }
        config = {
            "provider": {"cursor-acp": provider},
            "enabled_providers": ["cursor-acp"],
            "permission": "allow",
            "share": "disabled",
            "autoupdate": False,
        }
        home = scratch / "opencode"
        home.mkdir()
        (home / "opencode.json").write_text(json.dumps(config))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "OPENCODE_CONFIG": str(home / "opencode.json"),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            # What no option stops (it fetches its plugin types in the background) ends here.
            "HTTP_PROXY": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
        }

    def run(self, model, prompt, *options):
        """(exit status, stdout, stderr) of one prompt."""
        argv = [OPENCODE, "run", "-m", f"cursor-acp/{model}", *options, prompt]
        return run(argv, self.workspace, self.environment, SECONDS)

    def events(self, model, prompt):
        """The same, but what happened, in order, as OpenCode's own JSON events."""
        status, out, err = self.run(model, prompt, "--format", "json")
        check(status == 0, f"opencode exited {status}: {out}{err}")
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def texts(events):
    return [event["part"]["text"] for event in events if event["type"] == "text"]


def tools(events):
    """(tool, state) of every call that OpenCode executed."""
    return [(e["part"]["tool"], e["part"]["state"]) for e in events if e["type"] == "tool_use"]


def completed(events, expected):
    """Checks that OpenCode executed exactly these tools, and returns their states."""
    seen = tools(events)
    check([name for name, _ in seen] == expected, f"expected the calls {expected}, got {seen}")
    for name, state in seen:
        check(state["status"] == "completed", f"{name} did not succeed: {state}")
    return [state for _, state in seen]


def chat(opencode, server):
    answer = server.ask("auto", "say hello")
    check(answer and answer.strip(), f"the replay agent's answer is empty: {answer!r}")
    status, out, err = opencode.run("auto", "say hello")
    check(status == 0, f"opencode exited {status}: {out}{err}")
    check(answer.strip() in out, f"the answer is {answer!r}, but opencode printed {out!r}")
    check(out.count(answer.strip()) == 1, f"the answer was said twice: {out!r}")


def file_loop(opencode):
    file = opencode.workspace / "hello-open-cursor.txt"
    check(not file.exists(), f"{file} is there before the test")
    events = opencode.events("replay-files", "write a file and read it")
    _, read = completed(events, ["write", "read"])
    check(file.is_file(), f"{file} was not written")
    content = file.read_text().strip()
    check(content, f"{file} is empty")
    check(content in read["output"], f"read did not return {content!r}: {read}")
    check(content in texts(events)[-1], f"the answer does not quote {content!r}: {texts(events)}")


def error(opencode, model, expected):
    status, out, err = opencode.run(model, "say hello")
    check(status != 0, f"opencode took the error for an answer: {out!r}")
    check(not out.strip(), f"opencode printed an answer: {out!r}")
    check("Error" in err and expected in err.lower(), f"no {expected!r} error was shown: {err!r}")


def proof(server, scratch):
    opencode = OpenCode(server, scratch)
    with step("opencode starts (its first run sets up its database)", SECONDS):
        version = [OPENCODE, "--version"]
        status, out, err = run(version, scratch, opencode.environment, SECONDS)
        check(status == 0, f"opencode --version exited {status}: {out}{err}")
    with step("chat: the agent's answer is printed, once", SECONDS):
        chat(opencode, server)
    with step("tool loop: opencode writes a file, reads it, gets the answer", SECONDS):
        file_loop(opencode)
    with step("shell: opencode runs the command", SECONDS):
        completed(opencode.events("replay-shell", "run a command"), ["bash"])
    with step("not logged in: an error that says so, no answer", SECONDS):
        error(opencode, "replay-error-login", "log")
    with step("usage limit: shown at once, not retried for 75 s", 30):
        error(opencode, "replay-error-usage-limit", "limit")
    with step("the stream breaks off: an error, exit status not 0", SECONDS):
        status, out, err = opencode.run("replay-error-truncated", "say hello")
        check(status != 0, f"opencode took a broken stream for an answer: {out!r}")


if __name__ == "__main__":
    OPENCODE, BINARY = sys.argv[1:]
    main(BINARY, proof)
