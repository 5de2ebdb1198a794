"""Tools that the server executes, for a chat front end without any, and those of real MCP servers."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from harness import Fatal, Server, check, failures, run, step

BINARY, FAKE = sys.argv[1], sys.argv[2]
PYTHON, NODE = pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
MODELS = ["fake-mcp-script", "fake-tool-ls", "fake-edit", "fake-tool-shell"]
CANCELS = 40


def script(*calls):
    """A prompt that has the fake agent make these calls, one after the other."""
    steps = [{"call": {"tool": tool, "arguments": arguments}} for tool, arguments in calls]
    return "Please.\n" + json.dumps(steps)


def write_project(workspace):
    (workspace / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (workspace / "test_calc.py").write_text(
        "import unittest\n\nfrom calc import add\n\n\nclass Calc(unittest.TestCase):\n"
        "    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n"
    )
    (workspace / "fake-edit.txt").write_text("one\ntwo\nthree\n")
    for line in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"]):
        subprocess.run(["git", *line], cwd=workspace, check=True)


def llm(server, scratch, model, prompt):
    """What the front end prints."""
    user = scratch / "llm"
    user.mkdir(exist_ok=True)
    entries = [
        f'- model_id: {name}\n  model_name: {name}\n  api_base: "{server.url}/v1"\n' for name in MODELS
    ]
    (user / "extra-openai-models.yaml").write_text("".join(entries))
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(scratch / "home"), "LLM_USER_PATH": str(user), "OPENAI_API_KEY": "any",
        "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1",
    }
    (scratch / "home").mkdir(exist_ok=True)
    status, out, err = run([str(PYTHON / "bin/llm"), "-m", model, prompt], scratch, environment, 120)
    check(status == 0, f"llm exited {status}: {out}{err}")
    return out


def front_end(server, scratch):
    test = ("bash", {"command": "python3 -m unittest 2>&1"})
    edit = ("edit", {"filePath": "calc.py", "oldString": "a - b", "newString": "a + b"})
    with step("llm: a waiting run lists, tests, edits and tests again", 150):
        out = llm(server, scratch, "fake-mcp-script", script(("ls", {}), test, edit, test))
        check("calc.py" in out and "test_calc.py" in out, f"no listing: {out}")
        check("FAILED (failures=1)" in out and out.rstrip().endswith("OK"), f"no tests: {out}")
        check("a + b" in (server.workspace / "calc.py").read_text(), "the file is as it was")
    with step("llm: native calls of a run that does not wait are executed, too", 240):
        out = llm(server, scratch, "fake-tool-ls", "Which files are here?")
        check("The tool has answered." in out, out)
        llm(server, scratch, "fake-edit", "Edit it.")
        check((server.workspace / "fake-edit.txt").read_text() == "one\ntwo, changed\nthree\n", "no edit")
    with step("llm: nothing outside of the workspace is touched", 150):
        secret = scratch / "secret"
        secret.write_text("top secret")
        out = llm(server, scratch, "fake-mcp-script", script(
            ("read", {"filePath": str(secret)}), ("write", {"filePath": "../secret", "content": "x"}),
            ("bash", {"command": f"echo x > {secret}"})))
        check("top secret" not in out and secret.read_text() == "top secret", out)


def hang_up(server, prompt, wait_for):
    """Asks, waits until the tool has begun, and cuts the connection."""
    body = json.dumps({"model": "fake-mcp-script", "stream": True, "messages": [{"role": "user", "content": prompt}]})
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        deadline = time.monotonic() + 20
        while not wait_for.exists():
            check(time.monotonic() < deadline, "the tool did not begin")
            time.sleep(0.01)


def executors(server):
    listing = subprocess.check_output(["ps", "-axww", "-o", "args="], text=True)
    return [line for line in listing.splitlines() if "tool-executor" in line and str(server.workspace) in line]


def soak(server):
    with step(f"{CANCELS} clients hang up while a tool works; no process and no descriptor is left", 120):
        descriptors = pathlib.Path(f"/proc/{server.process.pid}/fd")
        count = lambda: len(list(descriptors.iterdir())) if descriptors.is_dir() else 0
        before = 0
        for number in range(CANCELS):
            begun = server.workspace / f"begun-{number}"
            command = f"touch {begun.name}; (setsid sleep 300 &); yes | head -c 100000000; sleep 300"
            hang_up(server, script(("bash", {"command": command})), begun)
            begun.unlink()
            if number == 4:
                before = count()
        deadline = time.monotonic() + 20
        # The servers of tools live as long as open-cursor.
        lasting = lambda line: "server-filesystem" in line
        while left := executors(server) + [line for line in server.agents() if not lasting(line)]:
            check(time.monotonic() < deadline, f"left: {left}")
            time.sleep(0.1)
        health = server.get("/health")
        check(health["running"] == 0 and health["parked"] == 0, f"{health}")
        after = count()
        check(after <= before + 10, f"{before} descriptors, then {after}")


def mcp(server, config):
    def command(*arguments):
        environment = {"PATH": os.environ["PATH"], "HOME": str(server.home), "XDG_CONFIG_HOME": str(config)}
        argv = [BINARY, "mcp", *arguments, "--mcp-from", "own"]
        return run(argv, server.workspace, environment, 60)

    with step("mcp tools: three real servers list their tools", 90):
        status, out, err = command("tools")
        check(status == 0, f"it exited {status}: {out}{err}")
        for name in ("fs_list_directory", "git_git_status", "all_echo"):
            check(name in out, f"no {name}: {out}")
    with step("mcp call: git and files", 60):
        status, out, err = command("call", "git", "git_log", json.dumps({"repo_path": str(server.workspace)}))
        check(status == 0 and "first" in out, f"{status}: {out}{err}")
        status, out, err = command("call", "fs", "read_text_file", json.dumps({"path": "/etc/passwd"}))
        check(status == 1 and "root:" not in out, f"{status}: {out}{err}")
    with step("a chat uses them: files, git, and a picture", 90):
        out = server.ask("fake-mcp-script", script(
            ("fs_list_directory", {"path": str(server.workspace)}),
            ("git_git_status", {"repo_path": str(server.workspace)}),
            ("all_echo", {"message": "hello"}),
            ("all_get-tiny-image", {}),
        ))
        for text in ("[FILE] calc.py", "git_git_status: ", "Echo: hello", "(image/png, "):
            check(text in out, f"no {text!r}: {out}")
        states = {one["name"]: one["state"] for one in server.get("/health")["mcp"]}
        check(states == {"fs": "running", "git": "running", "all": "running"}, f"{states}")
    with step("a server that is killed is started again", 60):
        listing = subprocess.check_output(["ps", "-axww", "-o", "pid=,args="], text=True)
        ours = [line.split()[0] for line in listing.splitlines()
                if "server-everything" in line and "agent-launcher" not in line and str(NODE) in line]
        check(ours, "it is not found")
        for pid in ours:
            subprocess.run(["kill", "-9", pid], check=False)
        time.sleep(0.5)
        out = server.ask("fake-mcp-script", script(("all_echo", {"message": "again"})))
        check("Echo: again" in out, out)


def main():
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="open-cursor-e2e-")).resolve()
    options = ["--tool-loop-mode", "proxy-exec", "--exec-tools", "all", "--mcp-from", "own"]
    config = scratch / "config"
    server = Server(BINARY, scratch, options, agent=FAKE, environment={"XDG_CONFIG_HOME": str(config)})
    modules = NODE / "node_modules/@modelcontextprotocol"
    node = lambda package, *arguments: {
        "command": "node", "args": [str(modules / package / "dist/index.js"), *arguments],
    }
    servers = {
        "fs": node("server-filesystem", str(server.workspace)),
        "git": {"command": str(PYTHON / "bin/mcp-server-git")},
        "all": node("server-everything"),
    }
    try:
        with contextlib.suppress(Fatal):
            (config / "open-cursor").mkdir(parents=True)
            (config / "open-cursor/mcp.json").write_text(json.dumps({"mcpServers": servers}))
            with server:
                write_project(server.workspace)
                front_end(server, scratch)
                soak(server)
                mcp(server, config)
        if failures:
            server.show_log()
            sys.exit(f"{len(failures)} failed: " + "; ".join(failures))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
