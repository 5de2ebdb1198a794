"""Cursor's own bridge behind open-cursor, and the official Python client in front of the fake bridge.

Usage: bridge.py OPEN_CURSOR ENVIRONMENT_OF_CURSOR_SDK FAKE_BRIDGE
"""

import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import harness
from cursor_sdk import AgentOptions, Client, CustomTool, LocalAgentOptions
from cursor_sdk import errors as sdk_errors
from harness import Server, check, step

BINARY, SDK, FAKE = sys.argv[1:]
PACKAGE = next(pathlib.Path(SDK).glob("lib/python3*/site-packages/cursor_sdk/_vendor/bridge"))
REAL = PACKAGE / "bin/cursor-sdk-bridge"
# Longer than the 60 s after which Cursor's MCP client gives up.
HOLD = 65


def post(server, body, headers=()):
    """Status, headers and JSON of a chat completion."""
    request = urllib.request.Request(
        server.url + "/v1/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json", **dict(headers)},
    )
    try:
        with urllib.request.urlopen(request, timeout=HOLD + 30) as response:
            return response.status, response.headers, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.load(error)


def user(text):
    return {"role": "user", "content": text}


def tool(name):
    schema = {"type": "object", "properties": {"a": {"type": "number"}}}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}


def answered(messages, answer, results):
    """The conversation after the calls of an answer."""
    message = answer["choices"][0]["message"]
    more = [
        {"role": "tool", "tool_call_id": call["id"], "content": results[call["function"]["name"]]}
        for call in message["tool_calls"]
    ]
    return [*messages, message, *more]


def directories(server):
    """What the bridge keeps on disk."""
    return sorted(path.name for path in (server.home / ".cache/open-cursor").glob("bridge-*"))


def resident(server):
    """Megabytes that all processes of the bridge have."""
    total = 0
    for line in server.agents():
        status = pathlib.Path(f"/proc/{line.split()[0]}/status")
        if status.exists():
            total += sum(int(text.split()[1]) for text in status.read_text().splitlines() if text.startswith("VmRSS"))
    return total / 1024


def fake_is_one(scratch):
    """The official client takes the fake bridge for a bridge."""
    seen = []

    def read(arguments, context):
        seen.append((dict(arguments), bool(context.tool_call_id)))
        return f"read {arguments['a']}"

    def broken(_arguments, _context):
        raise RuntimeError("no luck")

    tools = {
        "read": CustomTool(execute=read, description="Reads", input_schema={"type": "object"}),
        "broken": CustomTool(execute=broken, description="Breaks"),
    }

    def agent(client, model, **more):
        local = LocalAgentOptions(cwd=str(scratch), custom_tools=tools)
        options = AgentOptions(model=model, api_key="key_good", local=local, tools=["mcp"], **more)
        return client.create_agent(options)

    with Client.launch_bridge([FAKE], workspace=str(scratch)) as client:
        with step("official client: ping, version, models"):
            check(client.ping() == "pong", "no pong")
            check(client.get_version()["protocolVersion"] == "sdk.v1", "another protocol")
            ids = [model.id for model in client.list_models(api_key="key_good")]
            check("gpt-9" in ids, f"models: {ids}")
        with step("official client: a run with two custom tools"):
            with agent(client, "fake-tools") as one:
                run = one.send('CALL read {"a": 1}\nCALL broken {}')
                said = "".join(run.iter_text())
                result = run.wait()
            check(said == "Let me look.Results: read 1 | !no luck", f"it said {said!r}")
            check(result.status == "finished" and result.usage.total_tokens == 132, f"{result}")
            check(seen == [({"a": 1}, True)], f"it called {seen}")
        with step("official client: errors have their classes"):
            for code, kind in [
                ("RATE_LIMIT_EXCEEDED", sdk_errors.RateLimitError),
                ("INVALID_MODEL", sdk_errors.ConfigurationError),
                ("VALIDATION_ERROR", sdk_errors.BadRequestError),
            ]:
                try:
                    agent(client, f"fake-refuse-{code}")
                except kind as error:
                    check(error.request_id == "req-1", f"{error!r}")
                else:
                    raise harness.Failed(f"no {kind.__name__}")
            try:
                client.list_models(api_key="key_bad")
            except sdk_errors.AuthenticationError:
                pass
            else:
                raise harness.Failed("a bad key is taken")
        with step("official client: a run is cancelled"):
            with agent(client, "fake-silent") as one:
                run = one.send("wait")
                threading.Timer(0.3, run.cancel).start()
                check(run.wait().status == "cancelled", "it was not cancelled")


def real_without_a_network(server):
    """The bridge as it is: everything but the account."""
    with step("the real bridge starts with the first request, and its error is mapped"):
        check(not server.agents(), f"something runs already: {server.agents()}")
        status, _headers, body = post(server, {"model": "auto", "messages": [user("Hi")]})
        check(status in (401, 502), f"{status} {body}")
        check(body["error"]["code"] in ("agent_failed", "not_logged_in"), f"{body}")
        print(f"[{status}: {body['error']['message'][:90]}]", end=" ")
        bridge = server.get("/health")["bridge"]
        print(
            f"[{bridge['version']}, ready in {bridge['startedInMs']} ms, {resident(server):.0f} MB]",
            end=" ",
        )
        check(len(directories(server)) == 1, f"directories: {directories(server)}")
    with step("killed by SIGKILL, it is started again"):
        before = server.get("/health")["bridge"]["pid"]
        for line in server.agents():
            os.kill(int(line.split()[0]), signal.SIGKILL)
        time.sleep(0.5)
        check(server.get("/health")["bridge"] is None, "it is still said to run")
        status, _headers, body = post(server, {"model": "auto", "messages": [user("Hi")]})
        check(body["error"]["code"] in ("agent_failed", "not_logged_in"), f"{status} {body}")
        after = server.get("/health")["bridge"]["pid"]
        check(after != before, "it is the same process")
        check(len(directories(server)) == 1, f"directories: {directories(server)}")
    with step("neither the key nor a token is in its command line or environment"):
        for line in server.agents():
            pid = line.split()[0]
            for file in ("cmdline", "environ"):
                text = pathlib.Path(f"/proc/{pid}/{file}").read_text(errors="replace")
                check("crsr_e2e" not in text, f"the key is in {file} of {pid}")
                check("auth-token" not in text and "AUTH_TOKEN" not in text, f"a token is in {file}")
        log = server.log.read_text(errors="replace")
        check("crsr_e2e" not in log and "authTokenFile" not in log, "the log has secrets")


def real_with_a_script(server):
    """The real server, streams and callbacks, with a scripted model."""
    journal = server.home / "journal"

    def noted(event):
        lines = journal.read_text().splitlines() if journal.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["event"] == event]

    def until(event, count, seconds=10):
        deadline = time.monotonic() + seconds
        while len(noted(event)) < count:
            check(time.monotonic() < deadline, f"no {event}: {journal.read_text()}")
            time.sleep(0.05)

    with step("text, reasoning and usage"):
        status, _headers, body = post(server, {"model": "gpt-9-high", "messages": [user("Hi")]})
        check(status == 200, f"{status} {body}")
        message = body["choices"][0]["message"]
        check(message["content"] == "Hello from gpt-9.", f"{message}")
        check(message["reasoning_content"] == "Hm.", f"{message}")
        check(body["usage"]["prompt_tokens_details"]["cached_tokens"] == 80, f"{body['usage']}")
        made = noted("create")[-1]
        check(made["model"] == {"id": "gpt-9", "params": [{"id": "reasoning", "value": "high"}]}, f"{made}")
        check(made["tools"] == [] and made["disallowedTools"] == ["task"], f"{made}")
        until("delete", 1)
    with step("the models of the account"):
        ids = [model["id"] for model in server.get("/v1/models")["data"]]
        check({"auto", "gpt-9", "gpt-9-high"} <= set(ids), f"{ids}")
    with step("an image"):
        png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        content = [
            {"type": "text", "text": "Look"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}},
        ]
        _status, _headers, body = post(server, {"model": "auto", "messages": [{"role": "user", "content": content}]})
        said = body["choices"][0]["message"]["content"]
        check("images: image/png" in said, said)
    with step(f"two calls at once, held for {HOLD} s, by the bridge's own client", HOLD + 30):
        messages = [user('CALL read {"a": 1}\nCALL write {"a": 2}')]
        request = {"model": "auto", "tools": [tool("read"), tool("write")]}
        _status, headers, body = post(server, {**request, "messages": messages})
        check(headers["x-open-cursor-run"] == "fresh", f"{headers}")
        calls = body["choices"][0]["message"]["tool_calls"]
        check(len(calls) == 2, f"{calls}")
        check(noted("create")[-1]["tools"] == ["mcp"], f"{noted('create')[-1]}")
        time.sleep(HOLD)
        messages = answered(messages, body, {"read": "one", "write": "two"})
        _status, headers, body = post(server, {**request, "messages": messages})
        check(headers["x-open-cursor-run"] == "resumed", f"{headers}")
        said = body["choices"][0]["message"]["content"]
        check(said == "Results: one | two.", f"it said {said!r}")
        held = min(entry["seconds"] for entry in noted("called"))
        check(held >= HOLD, f"held for {held} s")
    with step("a client that leaves cancels its run"):
        body = json.dumps({"model": "auto", "messages": [user("WAIT 30000")], "stream": True}).encode()
        request = urllib.request.Request(
            server.url + "/v1/chat/completions", body, {"content-type": "application/json"}
        )
        response = urllib.request.urlopen(request, timeout=20)
        response.read(1)
        deleted = len(noted("delete"))
        response.close()
        until("cancel", 1)
        until("delete", deleted + 1)
    with step("a run that fails"):
        status, _headers, body = post(server, {"model": "auto", "messages": [user("FAIL rate_limited slow down")]})
        check(status == 429 and "slow down" in body["error"]["message"], f"{status} {body}")


def served(name, bridge, body):
    """A server with this bridge, from its start to its end; nothing may be left of it."""
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="open-cursor-e2e-")).resolve()
    print(name)
    options = ["--bridge", str(bridge)]
    key = {"CURSOR_API_KEY": "crsr_e2e0123456789"}
    server = Server(BINARY, scratch, options, agent="bridge", environment=key)
    try:
        with server:
            body(server)
        with step("nothing is left"):
            check(not server.agents(), f"processes: {server.agents()}")
            check(not directories(server), f"directories: {directories(server)}")
            sdk_state = server.home / ".cursor/sdk-agent-store"
            check(not sdk_state.exists(), "the SDK has written into the home directory")
        if harness.failures:
            server.show_log()
    except harness.Fatal:
        server.show_log()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main():
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="open-cursor-e2e-")).resolve()
    try:
        print("the fake bridge")
        fake_is_one(scratch)
        served("Cursor's bridge without a network", REAL, real_without_a_network)
        scripted = scratch / "scripted"
        script = pathlib.Path(__file__).parent / "bridge_scripted.mjs"
        scripted.write_text(f"#!/bin/sh\nexec '{PACKAGE}/bin/node' '{script}' '{PACKAGE}' \"$@\"\n")
        scripted.chmod(0o755)
        served("Cursor's bridge with a scripted model", scripted, real_with_a_script)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if harness.failures:
        sys.exit(f"{len(harness.failures)} failed: " + "; ".join(harness.failures))


main()
