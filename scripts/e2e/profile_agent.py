"""An agent with the times of Cursor's CLI, for scripts/bench --agent-profile; a test double.

It reads the files of agent_profile.py, one after the other, by whatever it has: the
client's tools by MCP, native calls that its proxy ends, or by itself. Times are of FACTS.md and parked.md:
start 1.0 s, first token 2.5 s after it, connection to MCP servers 0.3 s, and a second for each further step.
"""

import json
import pathlib
import re
import sys
import time
import urllib.request

BOOT, MCP, FIRST_TOKEN, STEP = 1.0, 0.3, 2.5, 1.0
SESSION = "5d3c1f0e-0000-4000-8000-000000000000"
WORDS = "answer of file"


def emit(event):
    print(json.dumps({**event, "session_id": SESSION, "timestamp_ms": int(time.time() * 1000)}), flush=True)


def say(text):
    emit({"type": "assistant", "message": {"role": "assistant", "content": [{"type": "text", "text": text}]}})


class Mcp:
    """The server in `.cursor/mcp.json`, as the CLI speaks to it."""

    def __init__(self, config):
        self.server = config
        self.number = 0
        self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {},
                                "clientInfo": {"name": "profile", "version": "1"}})
        tools = self.ask("tools/list", {})["tools"]
        self.tool = next(tool["name"] for tool in tools if tool["name"].lower().startswith("read"))

    def ask(self, method, params):
        self.number += 1
        body = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        headers = {**self.server["headers"], "Content-Type": "application/json",
                   "Accept": "application/json, text/event-stream"}
        request = urllib.request.Request(self.server["url"], json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request) as response:
            text = response.read().decode()
        if text.startswith("{"):
            return json.loads(text)["result"]
        data = [line[5:] for line in text.splitlines() if line.startswith("data:")]
        return json.loads(data[-1])["result"]


def native(number, path):
    call = {"readToolCall": {"args": {"path": path}}}
    emit({"type": "tool_call", "subtype": "started", "call_id": f"c{number}", "model_call_id": f"m{number}",
          "tool_call": call})
    return call


def main():
    log, alone, files = json.loads(pathlib.Path(__file__).with_suffix(".json").read_text())
    arguments = sys.argv[1:]
    if "--help" in arguments:
        print("Usage: agent [options]\n\nCursor Agent\n\n  --approve-mcps  Automatically approve all MCP servers")
        return
    if "--print" not in arguments:
        print("auto - Auto" if "models" in arguments else '{"isAuthenticated": true}')
        return
    time.sleep(BOOT)
    prompt = sys.stdin.read()
    with open(log, "a") as file:
        file.write(f"{len(prompt.encode())}\n")
    workspace = pathlib.Path(arguments[arguments.index("--workspace") + 1])
    config = workspace / ".cursor/mcp.json"
    emit({"type": "system", "subtype": "init", "apiKeySource": "login", "cwd": str(workspace), "model": "Auto",
          "permissionMode": "default"})
    emit({"type": "user", "message": {"role": "user", "content": [{"type": "text", "text": "go"}]}})
    mcp = None
    if config.exists() and "--approve-mcps" in arguments:
        time.sleep(MCP)
        mcp = Mcp(next(iter(json.loads(config.read_text())["mcpServers"].values())))
    time.sleep(FIRST_TOKEN)
    done = len(set(re.findall(WORDS + r" (\d+)", prompt)))
    for number, path in enumerate(files[done:], done + 1):
        call = native(number, path) if mcp is None else {"mcpToolCall": {"args": {
            "name": f"oc-{mcp.tool}", "toolName": mcp.tool, "providerIdentifier": "oc", "args": {"filePath": path}}}}
        if mcp is not None:
            emit({"type": "tool_call", "subtype": "started", "call_id": f"c{number}", "tool_call": call})
            text = mcp.ask("tools/call", {"name": mcp.tool, "arguments": {"filePath": path}})["content"][0]["text"]
        elif alone:
            text = pathlib.Path(path).read_text()
        else:
            time.sleep(60)
            return
        next(iter(call.values()))["result"] = {"success": {"content": [{"text": {"text": text}}]} if mcp else {"content": text}}
        emit({"type": "tool_call", "subtype": "completed", "call_id": f"c{number}", "tool_call": call})
        time.sleep(STEP)
    say("That was all.")
    usage = {"inputTokens": len(prompt) // 4, "outputTokens": 4, "cacheReadTokens": 0, "cacheWriteTokens": 0}
    emit({"type": "result", "subtype": "success", "is_error": False, "duration_ms": 1, "duration_api_ms": 1,
          "result": "That was all.", "usage": usage})


main()
