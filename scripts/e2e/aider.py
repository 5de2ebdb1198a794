"""Real Aider as a client, by `open-cursor run`: edits in its text formats, a commit, failures."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from harness import check, failures, run, step

SECONDS = 60
# Aider's rules go to the system prompt, so that the user's last line is the script for the agent.
SETTINGS = """
- name: openai/replay-script
  edit_format: {format}
  reminder: sys
"""


class Aider:
    """Aider with a home and a repository of its own, and no network."""

    def __init__(self, program, binary, scratch):
        self.program, self.binary = program, binary
        self.home = scratch / "home"
        self.repository = scratch / "repository"
        for directory in (self.home, self.repository):
            directory.mkdir()
        nowhere = "http://127.0.0.1:9"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "CURSOR_AGENT_EXECUTABLE": "replay",
            "AIDER_ANALYTICS": "false",
            "AIDER_CHECK_UPDATE": "false",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "HTTP_PROXY": nowhere,
            "HTTPS_PROXY": nowhere,
        }
        for name in ("AUTHOR", "COMMITTER"):
            self.environment[f"GIT_{name}_NAME"] = "Ada"
            self.environment[f"GIT_{name}_EMAIL"] = "ada@example.org"
        self.git("init", "--quiet")
        self.file("greet.txt", "hello\nworld\n")
        self.git("add", ".")
        self.git("commit", "--quiet", "-m", "First")

    def git(self, *args):
        argv = ["git", *args]
        return subprocess.check_output(
            argv, cwd=self.repository, env=self.environment, text=True, timeout=SECONDS
        )

    def file(self, name, text):
        (self.repository / name).write_text(text)

    def read(self, name):
        return (self.repository / name).read_text()

    def ask(self, model, message, *files):
        argv = [self.binary, "run", "--model", model, "--", self.program, "--yes-always"]
        argv += ["--message", message, *files]
        status, out, err = run(argv, self.repository, self.environment, SECONDS)
        check(status == 0, f"aider exited {status}: {out}{err}")
        return out + err

    def edit(self, kind, answer, *files):
        """Aider gets this answer and edits by it, in one of its formats."""
        self.file(".aider.model.settings.yml", SETTINGS.format(format=kind))
        return self.ask("replay-script", json.dumps([[{"say": answer}]]), *files)


def chat(aider):
    out = aider.ask("auto", "hello")
    check("replay agent" in out, f"aider printed {out!r}")
    check("Unknown context window" not in out, f"aider warns of the model: {out!r}")


def search_and_replace(aider):
    block = "<<<<<<< SEARCH\nhello\n=======\ngood morning\n>>>>>>> REPLACE"
    out = aider.edit("diff", f"Like this:\n\ngreet.txt\n```\n{block}\n```\n", "greet.txt")
    check(aider.read("greet.txt") == "good morning\nworld\n", f"not edited: {out!r}")
    log = aider.git("log", "--format=%s").splitlines()
    check(len(log) == 2, f"aider makes a commit of its edit: {log}")


def whole_file(aider):
    out = aider.edit("whole", "new.txt\n```\none\ntwo\n```\n")
    path = aider.repository / "new.txt"
    check(path.is_file() and path.read_text() == "one\ntwo\n", f"not written: {out!r}")


def unified_diff(aider):
    diff = "--- greet.txt\n+++ greet.txt\n@@ ... @@\n-world\n+moon\n"
    out = aider.edit("udiff", f"```diff\n{diff}```\n", "greet.txt")
    check("moon" in aider.read("greet.txt"), f"not edited: {out!r}")


def failure(aider):
    before = aider.read("greet.txt")
    out = aider.ask("replay-error-login", "hello", "greet.txt")
    check("not logged in" in out.lower(), f"aider does not say why: {out!r}")
    check(aider.read("greet.txt") == before, "an error is no edit")


STEPS = [
    ("chat: the agent's answer is printed, and no warning", chat),
    ("diff: a search-and-replace block edits a file, and is committed", search_and_replace),
    ("whole: a new file is written", whole_file),
    ("udiff: a unified diff edits a file", unified_diff),
    ("not logged in: an error that says so", failure),
]


def main():
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="open-cursor-e2e-")).resolve()
    try:
        aider = Aider(*sys.argv[1:], scratch)
        for title, body in STEPS:
            with step(title, SECONDS):
                body(aider)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if failures:
        sys.exit(f"{len(failures)} failed: " + "; ".join(failures))


if __name__ == "__main__":
    main()
