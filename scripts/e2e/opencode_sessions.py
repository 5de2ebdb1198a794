"""`serve --resume`: OpenCode's conversations go on in Cursor's own chats, whatever it asks beside them."""

import contextlib
import json
import subprocess
import time

from harness import check, run, step

SECONDS = 90

# Keeps chats where Cursor does, and writes down what it is told.
AGENT = """#!/usr/bin/env python3
import json, os, pathlib, sys, uuid
args = sys.argv[1:]
if args[0] == "--version":
    sys.exit(print("2026.10.01-e373342"))
if args[0] == "models":
    sys.exit(print("Available models\\n\\nauto - Auto (default)"))
resume = args[args.index("--resume") + 1] if "--resume" in args else None
chat, prompt = resume or str(uuid.uuid4()), sys.stdin.read()
store = pathlib.Path(os.environ["CURSOR_CONFIG_DIR"], "chats", "workspace", chat, "store.db")
store.parent.mkdir(parents=True, exist_ok=True)
with store.open("a") as kept:
    kept.write("prompt\\n")
text = f"This chat has {len(store.read_text().split())} prompts."
with open(%(log)r, "a") as log:
    log.write(json.dumps({"resume": resume, "prompt": prompt}) + "\\n")
said = {"role": "assistant", "content": [{"type": "text", "text": text}]}
for event in [
    {"type": "system", "subtype": "init", "cwd": os.getcwd(), "model": "Auto"},
    {"type": "assistant", "message": said},
    {"type": "result", "subtype": "success", "is_error": False, "result": text},
]:
    print(json.dumps({**event, "session_id": chat}), flush=True)
"""


@contextlib.contextmanager
def served(opencode, binary, home):
    """OpenCode's environment beside a server with that agent, and what the agent was told."""
    told, agent, info = home / "told", home / "cursor-agent", home / "server.json"
    agent.write_text(AGENT % {"log": str(told)})
    agent.chmod(0o755)
    argv = [binary, "serve", "--port", "0", "--server-info", info, "--agent", agent, "--resume"]
    # The agent writes a file of its own, which the fence would not let it.
    argv += ["--fence", "off"]
    environment = {**opencode.environment, "HOME": str(home)}
    with (home / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            [*map(str, argv)], cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=log,
            stderr=log,
        )
    try:
        while not info.exists():
            check(server.poll() is None, f"the server exited {server.returncode}")
            time.sleep(0.05)
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "options": {"baseURL": json.loads(info.read_text())["url"] + "/v1", "apiKey": "none"},
            "models": {"auto": {"name": "Auto", "tool_call": True}},
        }
        config = {"provider": {"cursor-acp": provider}}
        yield {**environment, "OPENCODE_CONFIG_CONTENT": json.dumps(config)}, told
    finally:
        server.terminate()
        server.wait()


def short(runs):
    return [(run["resume"], run["prompt"][-200:]) for run in runs]


def proof(opencode, binary, scratch):
    home = scratch / "sessions"
    project = home / "project"
    project.mkdir(parents=True)
    with served(opencode, binary, home) as (environment, told):

        def ask(fruit, *options):
            argv = [opencode.program, "run", "-m", "cursor-acp/auto", *options, fruit]
            status, out, err = run(argv, project, environment, SECONDS)
            check(status == 0, f"opencode exited {status}: {out}{err}")
            runs = [json.loads(line) for line in told.read_text().splitlines()]
            return out, [run for run in runs if f"\n{fruit}\n" in run["prompt"]]

        with step("--resume: the first turn and its title are two chats", SECONDS):
            out, asked = ask("apples")
            check("1 prompts" in out, f"opencode printed {out!r}")
            check([run["resume"] for run in asked] == [None, None], f"the agent was told {short(asked)}")
        for count, fruit in [(2, "pears"), (3, "plums")]:
            with step(f"--resume: turn {count} goes on in the chat, told only what is new", SECONDS):
                out, asked = ask(fruit, "--continue")
                check(f"{count} prompts" in out, f"opencode printed {out!r}")
                check(len(asked) == 1 and asked[0]["resume"], f"the agent was told {short(asked)}")
                check("apples" not in asked[0]["prompt"], f"it was told all again: {short(asked)}")
