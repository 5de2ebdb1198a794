"""Families and variants: what `sync-models` writes, what OpenCode makes of it, and which of Cursor's
models the agent is started with in the end."""

import contextlib
import json
import shutil
import subprocess
import time

from harness import check, run, step

SECONDS = 90

# As the CLI lists them; the names and the notes are ours.
LISTED = {
    "auto": "Auto (default)",
    "gpt-5.2": "GPT-5.2",
    "gpt-5.2-low": "GPT-5.2 Low",
    "gpt-5.2-high": "GPT-5.2 High",
    "claude-4.5-sonnet": "Claude Sonnet 4.5",
    "claude-4.5-sonnet-thinking": "Claude Sonnet 4.5 Thinking",
    "gemini-3.1-pro": "Gemini 3.1 Pro",
}
FAMILIES = {
    "gpt-5.2": {"low": "gpt-5.2-low", "high": "gpt-5.2-high"},
    "claude-4.5-sonnet": {"thinking": "claude-4.5-sonnet-thinking"},
}
SINGLE = {"auto", "gemini-3.1-pro"}
MEMBERS = {member for variants in FAMILIES.values() for member in variants.values()}

# What each choice must start: the family's default, each variant, a model without any.
CHOICES = [
    (family, variant, model)
    for family, variants in FAMILIES.items()
    for variant, model in [(None, family), *variants.items()]
] + [("gemini-3.1-pro", None, "gemini-3.1-pro")]

AGENT = """#!/bin/sh
case "$1" in
--version) echo 2026.10.01-e373342; exit ;;
models) cat '{list}'; exit ;;
esac
model=
while [ $# -gt 0 ]; do
    if [ "$1" = --model ]; then model=$2; fi
    shift
done
echo "$model" >> '{log}'
cat > /dev/null
text='"I am the agent."'
echo '{{"type":"assistant","message":{{"role":"assistant","content":[{{"type":"text","text":'"$text"'}}]}}}}'
echo '{{"type":"result","subtype":"success","is_error":false,"result":'"$text"'}}'
"""


class User:
    """A home with an agent that writes down which model it is started with, and a server."""

    def __init__(self, opencode, binary, scratch):
        self.opencode, self.binary = opencode.program, binary
        self.home = scratch / "variants"
        self.project = self.home / "project"
        self.project.mkdir(parents=True)
        self.started = self.home / "started"
        listing, agent = self.home / "models.txt", self.home / "cursor-agent"
        lines = [f"{id} - {name}\n" for id, name in LISTED.items()]
        listing.write_text("Available models\n\n" + "".join(lines))
        agent.write_text(AGENT.format(list=listing, log=self.started))
        agent.chmod(0o755)
        ours = ("OPENCODE_CONFIG", "XDG_", "NO_PROXY")
        keep = {k: v for k, v in opencode.environment.items() if not k.startswith(ours)}
        self.environment = {
            **keep, "HOME": str(self.home), "NO_PROXY": "127.0.0.1",
            # The agent writes a file of its own here, which the fence would not let it.
            "CURSOR_AGENT_EXECUTABLE": str(agent), "CURSOR_ACP_FENCE": "off",
        }

    @contextlib.contextmanager
    def served(self):
        info = self.home / "server.json"
        argv = [self.binary, "serve", "--port", "0", "--server-info", str(info)]
        log = (self.home / "serve.log").open("wb")
        server = subprocess.Popen(
            argv, cwd=self.home, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log,
        )
        try:
            while not info.exists():
                check(server.poll() is None, f"the server exited {server.returncode}")
                time.sleep(0.05)
            # Where the commands expect the server.
            self.environment["PORT"] = str(json.loads(info.read_text())["port"])
            yield
        finally:
            server.terminate()
            server.wait()
            log.close()

    def run(self, *argv):
        status, out, err = run([*map(str, argv)], self.project, self.environment, SECONDS)
        check(status == 0, f"{' '.join(map(str, argv))} exited {status}: {out}{err}")
        return out

    def listed(self):
        """What `opencode models --verbose` shows: for each model its variants."""
        out = self.run(self.opencode, "models", "cursor-acp", "--verbose")
        decoder, models = json.JSONDecoder(), {}
        while out.strip():
            id, _, rest = out.lstrip().partition("\n")
            entry, end = decoder.raw_decode(rest)
            out = rest[end:]
            models[id.removeprefix("cursor-acp/")] = {
                name for name, variant in entry.get("variants", {}).items()
                if not variant.get("disabled")
            }
        return models

    def ask(self, model, variant, *before):
        """Asks by `opencode run`; returns the models that the agent was started with."""
        self.started.unlink(missing_ok=True)
        chosen = ["--variant", variant] if variant else []
        # With a title, OpenCode asks for none.
        argv = ["run", "--title", "t", "-m", f"cursor-acp/{model}", *chosen, "hello"]
        out = self.run(*before, self.opencode, *argv)
        check("I am the agent." in out, f"opencode printed {out!r}")
        return self.started.read_text().split()


def lists(user, members):
    """Members are there or not; OpenCode invents variants for those that reason, which are not ours."""
    expected = {id: set() for id in SINGLE | members}
    expected |= {family: set(variants) for family, variants in FAMILIES.items()}
    listed = user.listed()
    shown = {id: variants for id, variants in listed.items() if id not in members}
    wanted = {id: variants for id, variants in expected.items() if id not in members}
    check(set(listed) == set(expected), f"expected the models {set(expected)}, got {set(listed)}")
    check(shown == wanted, f"expected the variants {wanted}, got {shown}")


def reaches(user, choices, *before):
    for model, variant, expected in choices:
        started = user.ask(model, variant, *before)
        check(started == [expected], f"{model} --variant {variant} started {started}")


def with_members(user):
    user.run(user.binary, "sync-models", "--variants")
    lists(user, MEMBERS)
    reaches(user, [("gpt-5.2-high", None, "gpt-5.2-high"), ("gpt-5.2", "low", "gpt-5.2-low")])


def compact(user):
    user.run(user.binary, "sync-models", "--variants", "--compact")
    lists(user, set())


def by_run(user):
    shutil.rmtree(user.home / ".config/opencode")
    reaches(user, [CHOICES[0], CHOICES[2]], user.binary, "run", "--")


def proof(opencode, binary, scratch):
    user = User(opencode, binary, scratch)
    with user.served():
        with step("sync-models --variants: families and members, and what they start", SECONDS):
            with_members(user)
        with step("sync-models --variants --compact: families only", SECONDS):
            compact(user)
        with step(f"opencode run --variant: {len(CHOICES)} choices start the right model", SECONDS):
            reaches(user, CHOICES)
    with step("run -- opencode run --variant, without any configuration", SECONDS):
        by_run(user)
