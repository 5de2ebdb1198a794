"""What a task of ten calls costs: respawn, parked turns, and the agent alone. Usage: agent_profile.py BINARY.

The agent is a test double with the times of Cursor's CLI (profile_agent.py); server, requests and tools are real.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from harness import Server, check

CALLS = 10
AGENT = pathlib.Path(__file__).with_name("profile_agent.py")
TOOL = {"type": "function", "function": {"name": "read", "description": "Reads a file.", "parameters": {
    "type": "object", "properties": {"filePath": {"type": "string"}}, "required": ["filePath"]}}}
# As long as a coding agent's instructions are.
SYSTEM = "You are a coding agent. " * 800


def agent(scratch, files, alone):
    """The program of a run, and the log of its prompts' sizes."""
    script, log = scratch / "profile_agent.py", scratch / "prompts"
    shutil.copy(AGENT, script)
    log.touch()
    script.with_suffix(".json").write_text(json.dumps([str(log), alone, files]))
    program = scratch / "cursor-agent"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@"\n')
    program.chmod(0o755)
    return program, log


def converse(server):
    """The task as a client does it; how many requests it took."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Read the ten files."}]
    for request in range(1, CALLS + 3):
        message = server.complete("auto", messages, [TOOL])
        messages.append(message)
        if not message.get("tool_calls"):
            check("That was all." in message["content"], f"the answer is {message}")
            return request
        for call in message["tool_calls"]:
            path = json.loads(call["function"]["arguments"])["filePath"]
            content = pathlib.Path(path).read_text()
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
    raise SystemExit("the task did not end")


def measure(name, binary):
    with tempfile.TemporaryDirectory(prefix="open-cursor-profile-") as directory:
        scratch = pathlib.Path(directory).resolve()
        files = []
        for number in range(1, CALLS + 1):
            file = scratch / f"file-{number}.txt"
            file.write_text(f"answer of file {number}\n" + "a line of text\n" * 100)
            files.append(str(file))
        program, log = agent(scratch, files, name == "alone")
        if name == "alone":
            workspace = scratch / "workspace"
            workspace.mkdir()
            began = time.monotonic()
            argv = [program, "--print", "--workspace", workspace]
            subprocess.run(argv, input=SYSTEM.encode() + b"Read the ten files.", check=True, stdout=subprocess.DEVNULL)
            wall, requests = time.monotonic() - began, 0
        else:
            with Server(binary, scratch, ["--fence", "off"], agent=program, turns=name) as server:
                began = time.monotonic()
                requests = converse(server)
                wall = time.monotonic() - began
        prompts = [int(line) for line in log.read_text().split()]
    return {"requests": requests, "starts": len(prompts), "first prompt": prompts[0], "prompts": sum(prompts),
            "sent again": sum(prompts[1:]) // 4, "wall": wall}


def main(binary):
    rows = {name: measure(name, binary) for name in ("alone", "parked", "respawn")}
    alone = rows["alone"]["wall"]
    print(f"\na task of {CALLS} calls     requests   starts   prompt bytes   of the first   tokens sent again   wall")
    for name, row in rows.items():
        ratio = row["prompts"] / row["first prompt"]
        print(f"{name:24}{row['requests']:10}{row['starts']:9}{row['prompts']:15}{ratio:14.2f}x"
              f"{row['sent again']:20}{row['wall']:7.1f} s = {row['wall'] / alone:.2f}x alone")


if __name__ == "__main__":
    main(sys.argv[1])
