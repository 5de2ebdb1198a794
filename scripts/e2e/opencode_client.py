"""Real OpenCode, isolated and offline, as a client of open-cursor with the replay agent."""

import contextlib
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request

from harness import Failed, check, run

SECONDS = 90


class OpenCode:
    """OpenCode with a home, a configuration and a workspace of its own."""

    def __init__(self, program, ripgrep, server, scratch):
        self.program = program
        self.home = scratch / "opencode"
        self.home.mkdir()
        self.log = self.home / "serve.log"
        self.environment = {
            # glob and grep run ripgrep, which OpenCode would download.
            "PATH": os.pathsep.join([ripgrep, os.environ["PATH"]]),
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            # What no option stops (it fetches its plugin types in the background) ends here.
            "HTTP_PROXY": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
        }
        self.use(server)

    def use(self, server):
        """Makes it a client of this server, in its workspace."""
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
        file = self.home / "opencode.json"
        file.write_text(json.dumps(config))
        self.environment["OPENCODE_CONFIG"] = str(file)

    def version(self, scratch):
        status, out, err = run([self.program, "--version"], scratch, self.environment, SECONDS)
        check(status == 0, f"opencode --version exited {status}: {out}{err}")

    def run(self, model, prompt, *options):
        """(exit status, stdout, stderr) of one prompt by `opencode run`."""
        argv = [self.program, "run", "-m", f"cursor-acp/{model}", *options, prompt]
        return run(argv, self.workspace, self.environment, SECONDS)

    def events(self, model, prompt):
        """The same, but what happened, in order, as OpenCode's own JSON events."""
        status, out, err = self.run(model, prompt, "--format", "json")
        check(status == 0, f"opencode exited {status}: {out}{err}")
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    @contextlib.contextmanager
    def served(self):
        """`opencode serve`, whose interface shows its own record of every call."""
        argv = [self.program, "serve", "--port", "0"]
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                argv, cwd=self.workspace, env=self.environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        try:
            yield Served(self._address(process))
        finally:
            process.kill()
            process.wait()

    def _address(self, process):
        while True:
            check(process.poll() is None, f"opencode serve ended: {self.log.read_text()}")
            found = re.search(r"listening on (http://\S+)", self.log.read_text())
            if found:
                return found[1]
            time.sleep(0.05)


class Served:
    """A running `opencode serve`."""

    def __init__(self, url):
        self.url = url

    def call(self, path, body=None, seconds=SECONDS):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"content-type": "application/json"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=seconds) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise Failed(f"{path}: {error}: {error.read().decode()}") from None

    def session(self):
        # With a title, OpenCode does not ask the model for one.
        return self.call("/session", {"title": "proof"})["id"]

    def prompt(self, session, model, text):
        """Sends a prompt and waits for its end. Returns its calls and the answer's text."""
        body = {
            "model": {"providerID": "cursor-acp", "modelID": model},
            "parts": [{"type": "text", "text": text}],
        }
        seen = len(self.messages(session))
        answer = self.call(f"/session/{session}/message", body)
        check(not answer["info"].get("error"), f"the answer is an error: {answer}")
        calls = calls_of(self.messages(session)[seen:])
        return calls, "".join(part["text"] for part in answer["parts"] if part["type"] == "text")

    def messages(self, session):
        return self.call(f"/session/{session}/message")


def calls_of(messages):
    """(tool, state) of every call in messages, as OpenCode recorded it."""
    parts = [part for message in messages for part in message["parts"]]
    return [(part["tool"], part["state"]) for part in parts if part["type"] == "tool"]
