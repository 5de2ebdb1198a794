"""How often a task of 18 calls starts the agent, by how its runs wait. Usage: starts.py BINARY.

The calls are 12 reads, 3 searches, 2 edits and a command. The agent is the replay agent, which looks and edits by
tools of its own where it has a view; server, requests and the client's tools are real.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import loops
from harness import Server, check


def tool(name, *arguments):
    properties = {argument: {"type": "string"} for argument in arguments}
    schema = {"type": "object", "properties": properties, "required": list(arguments)}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}


TOOLS = [
    tool("read", "filePath"),
    tool("grep", "pattern", "path"),
    tool("edit", "filePath", "oldString", "newString"),
    tool("bash", "command"),
]
WAYS = [
    ("respawn", []),
    ("respawn", loops.VIEW),
    ("parked:view", []),
    ("parked:view", loops.VIEW),
    ("parked:mcp", []),
    ("parked:mcp", loops.VIEW),
]


def execute(name, arguments):
    path = pathlib.Path(arguments.get("filePath") or arguments.get("path") or ".")
    if name == "read":
        return path.read_text()
    if name == "grep":
        return "\n".join(line for line in path.read_text().splitlines() if arguments["pattern"] in line)
    if name == "edit":
        text = path.read_text()
        check(arguments["oldString"] in text, f"{path} does not hold what is to be edited: {arguments}")
        path.write_text(text.replace(arguments["oldString"], arguments["newString"], 1))
        return "edited"
    return subprocess.run(arguments["command"], shell=True, capture_output=True, text=True, check=True).stdout


def converse(server):
    """The task as a client does it. Returns how many requests it took."""
    messages = [{"role": "user", "content": loops.eighteen(server.workspace)}]
    for request in range(1, 30):
        message = server.complete(loops.MODEL, messages, TOOLS)
        messages.append(message)
        if not message.get("tool_calls"):
            check(message["content"].endswith(loops.END), f"the answer is {message}")
            loops.check_eighteen(server.workspace)
            return request
        for call in message["tool_calls"]:
            function = call["function"]
            content = execute(function["name"], json.loads(function["arguments"]))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": content})
    raise SystemExit("the task did not end")


def measure(binary):
    print("\na task of 18 calls                requests   starts")
    for turns, options in WAYS:
        with tempfile.TemporaryDirectory(prefix="open-cursor-starts-") as directory:
            with Server(binary, pathlib.Path(directory).resolve(), options, turns=turns) as server:
                requests = converse(server)
                starts, _ = loops.counts(server)
        print(f"{' '.join([turns, *options]):34}{requests:8}{starts:9}")


if __name__ == "__main__":
    measure(sys.argv[1])
