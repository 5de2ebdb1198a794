"""The real Gemini CLI and google-genai as clients of open-cursor with the replay agent."""

import json
import os
import sys

from gemini_sdk import sdk
from harness import Server, check, main, run, step

SECONDS = 60

# What would leave this machine or wait for a person.
SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "general": {"disableAutoUpdate": True, "disableUpdateNag": True},
}


class Gemini:
    """`gemini -p` with a home of its own, in the server's workspace."""

    def __init__(self, server, scratch, key="unused"):
        self.server = server
        home = scratch / "gemini-home"
        (home / ".gemini").mkdir(parents=True, exist_ok=True)
        (home / ".gemini" / "settings.json").write_text(json.dumps(SETTINGS))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "GEMINI_API_KEY": key,
            "GOOGLE_GEMINI_BASE_URL": server.url,
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
            # What no setting stops ends here.
            "HTTP_PROXY": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
        }

    def run(self, model, prompt):
        """(exit status, events, stderr) of one prompt."""
        argv = [CLI, "--model", model, "--yolo", "--output-format", "stream-json", "--prompt", prompt]
        status, out, err = run(argv, self.server.workspace, self.environment, SECONDS)
        return status, [json.loads(line) for line in out.splitlines() if line.startswith("{")], err

    def events(self, model, prompt):
        """The events of a prompt that must succeed."""
        status, events, err = self.run(model, prompt)
        check(status == 0, f"gemini exited {status}: {events} {err}")
        check(events[-1]["type"] == "result", f"the last event is {events[-1]}")
        check(events[-1]["status"] == "success", f"the last event is {events[-1]} {err}")
        return events


def text(events):
    said = [e for e in events if e["type"] == "message" and e["role"] == "assistant"]
    return "".join(event["content"] for event in said)


def chat(gemini):
    answer = gemini.server.ask("auto", "say hello").strip()
    # Gemini CLI puts its context before the prompt, and the replay agent quotes all of it.
    first = answer.splitlines()[0]
    heard = text(gemini.events("replay", "say hello"))
    check(heard.count(first) == 1, f"the answer is {answer!r}, but gemini got {heard!r}")


def shell(gemini):
    events = gemini.events("replay-shell", "run a command")
    (call,) = [event for event in events if event["type"] == "tool_use"]
    check(call["tool_name"] == "run_shell_command", f"the call is {call}")
    (result,) = [event for event in events if event["type"] == "tool_result"]
    check(result["status"] == "success", f"the command failed: {result}")
    check(result["output"].strip() == "hello from the replay agent", f"it printed {result}")
    check("hello from the replay agent" in text(events), f"the answer does not quote it: {text(events)}")


def files(gemini):
    file = gemini.server.workspace / "hello-open-cursor.txt"
    file.unlink(missing_ok=True)
    events = gemini.events("replay-files", "write a file and read it")
    names = [event["tool_name"] for event in events if event["type"] == "tool_use"]
    check(names == ["write_file", "read_file"], f"the calls are {names}")
    first = file.read_text().splitlines()[0]
    check(first in text(events), f"the answer does not quote {first!r}: {text(events)}")


def failure(gemini, model, expected, runs):
    """An error that is shown, and at most so many runs of the agent for it."""
    before = set(gemini.server.runs())
    status, events, err = gemini.run(model, "say hello")
    shown = json.dumps(events) + err
    check(expected in shown.lower(), f"no {expected!r} error was shown: {status} {shown}")
    count = len(set(gemini.server.runs()) - before)
    check(count == runs, f"{count} runs of the agent, not {runs}: {shown}")


def proof(server, scratch):
    gemini = Gemini(server, scratch)
    with step("chat: the agent's answer arrives, once", SECONDS):
        chat(gemini)
    with step("tool loop: gemini runs a command and gets the answer", SECONDS):
        shell(gemini)
    with step("tool loop: gemini writes a file and reads it", SECONDS):
        files(gemini)
    with step("not logged in: an error that says so, after one run", SECONDS):
        failure(gemini, "replay-error-login", "log", 1)
    with step("usage limit: an error that says so, after one run", SECONDS):
        failure(gemini, "replay-error-usage-limit", "usage limit", 1)
    sdk(server)
    scratch /= "with-key"
    scratch.mkdir()
    with Server(BINARY, scratch, environment={"CURSOR_ACP_API_KEY": "s3cret"}) as server:
        with step("the server's key, sent as Google's clients do", SECONDS):
            chat_with_key(server, scratch)


def chat_with_key(server, scratch):
    check(text(Gemini(server, scratch, "s3cret").events("replay", "say hello")), "no answer")
    status, events, err = Gemini(server, scratch, "wrong").run("replay", "say hello")
    check("API key" in json.dumps(events) + err, f"the wrong key gets {status} {events} {err}")


if __name__ == "__main__":
    CLI, BINARY = sys.argv[1:]
    main(BINARY, proof, "--dump-dir", "dumps")
