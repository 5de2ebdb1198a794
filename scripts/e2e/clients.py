"""Real clients by `open-cursor run`: a chat, a tool loop, nothing left behind."""

import os
import pathlib
import shutil
import sys
import tempfile

from harness import check, failures, run, step

SECONDS = 120
# How each client answers one prompt without asking, by its program's name.
CLIENTS = {
    "qwen": ["--yolo"],
    "cn": ["--auto", "-p"],
    "pi": ["-p"],
    "cline": [],
    "gptme": ["--non-interactive", "--tool-format", "tool"],
}
# gptme goes on by itself after an answer, and the replay agent begins its loop again each time.
NO_LOOP = ["gptme"]
# Cline takes one word for a mistyped command.
PROMPT = "say hello"


def files(directory):
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


def main():
    binary, *directories = sys.argv[1:]
    path = os.pathsep.join([*directories, os.environ["PATH"]])
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="open-cursor-e2e-")).resolve()
    nowhere = "http://127.0.0.1:9"
    environment = {
        "PATH": path,
        "HOME": str(scratch / "home"),
        "TMPDIR": str(scratch / "tmp"),
        "CURSOR_AGENT_EXECUTABLE": "replay",
        "DO_NOT_TRACK": "1",
        "CONTINUE_TELEMETRY_ENABLED": "0",
        # What no option stops ends here.
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
    }
    (scratch / "home").mkdir()
    (scratch / "tmp").mkdir()

    def started(name, model, directory, *arguments):
        directory.mkdir()
        program = shutil.which(name, path=path)
        argv = [binary, "run", "--model", model, "--", program, *arguments]
        return run(argv, directory, environment, SECONDS)

    def ask(name, model, directory):
        status, out, err = started(name, model, directory, *CLIENTS[name], PROMPT)
        check(status == 0, f"{name} exited {status}: {out}{err}")
        return out

    try:
        for name in CLIENTS:
            with step(f"{name}: the agent's answer is printed", SECONDS):
                out = ask(name, "auto", scratch / f"{name}-chat")
                check("replay agent" in out, f"{name} printed {out!r}")
            if name not in NO_LOOP:
                with step(f"{name}: a tool call writes a file, and its result reaches the agent", SECONDS):
                    workspace = scratch / f"{name}-tools"
                    out = ask(name, "replay-files", workspace)
                    check("Hello from open-cursor!" in out, f"{name} printed {out!r}")
                    file = workspace / "hello-open-cursor.txt"
                    check(file.is_file(), f"{name} wrote {files(workspace)}")
            with step(f"{name}: no configuration file is left behind", SECONDS):
                left = [file for file in files(scratch / "tmp") if "open-cursor-" in file]
                check(not left, f"left: {left}")
        with step("mini: a command is run, and its output reaches the agent", SECONDS):
            # The replay agent asks for the same command again and again.
            limits = ["-c", "mini.yaml", "-c", "agent.step_limit=2"]
            task = ["--yolo", "--exit-immediately", "--task", PROMPT]
            _, out, err = started("mini", "replay-shell", scratch / "mini", *limits, *task)
            check("hello from the replay agent" in out, f"mini printed {out!r} {err!r}")
            check("LimitsExceeded" in out, f"mini did not take its steps: {out!r} {err!r}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if failures:
        sys.exit(f"{len(failures)} failed: " + "; ".join(failures))


if __name__ == "__main__":
    main()
