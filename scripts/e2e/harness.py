"""What the end-to-end scripts share: a running open-cursor, steps with a deadline, checks.

Standard library only, Python >= 3.9. Everything that is started here is ended here, whatever happens.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request


# The servers' `--turns`: whether runs wait for the results of the client's tools.
TURNS = os.environ.get("E2E_TURNS", "auto")


class Failed(Exception):
    """A check did not hold; the message says which and what was seen instead."""


class Fatal(Exception):
    """Without the step that failed, the others make no sense."""


def check(condition, message):
    if not condition:
        raise Failed(message)


failures = []


@contextlib.contextmanager
def step(title, seconds=60, fatal=False):
    """One named part of the proof, interrupted after `seconds`.

    If it fails, the run fails; the other steps are still taken, unless this one is `fatal`.
    """

    def expired(_signal, _frame):
        raise Failed(f"not done within {seconds} s")

    print(f"   {title} ...", end=" ", flush=True)
    started = time.monotonic()
    signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    try:
        yield
    except Exception as error:
        print("FAILED", flush=True)
        if not isinstance(error, Failed):
            traceback.print_exc(file=sys.stdout)
        print(f"      {error}", flush=True)
        failures.append(title)
        if fatal:
            raise Fatal from error
    else:
        print(f"ok ({time.monotonic() - started:.1f} s)", flush=True)
    finally:
        signal.alarm(0)


def main(binary, body, *options):
    """Runs `body(server, scratch)` against a fresh server with these options; exits 0, or 1 if a step failed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="open-cursor-e2e-")).resolve()
    server = Server(binary, scratch, options)
    try:
        with contextlib.suppress(Fatal), server:
            body(server, scratch)
        if failures:
            sys.exit(f"{len(failures)} failed: " + "; ".join(failures))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class Server:
    """`open-cursor serve` with the replay agent, or another, on a free port, in an empty workspace and home."""

    def __init__(self, binary, scratch, options=(), agent="replay", environment=None, turns=TURNS):
        self.binary = binary
        self.options = options
        self.environment = environment or {}
        self.agent = agent
        self.turns = turns
        self.workspace = scratch / "workspace"
        self.home = scratch / "server-home"
        self.log = scratch / "server.log"
        self.info = scratch / "server.json"

    def __enter__(self):
        self.failed_before = len(failures)
        self.workspace.mkdir()
        self.home.mkdir()
        argv = [self.binary, "serve", "--port", "0", "--server-info", str(self.info)]
        argv += ["--agent", str(self.agent), "--workspace", str(self.workspace)]
        argv += ["--turns", self.turns, *self.options]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), **self.environment}
        with step("start open-cursor", 20, fatal=True), self.log.open("wb") as log:
            self.process = subprocess.Popen(
                argv, env=environment, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            try:
                self.url = self._wait_for_address()
                health = self.get("/health")
                check(health.get("status") == "ok", f"/health says {health}")
            except BaseException:
                self._kill()
                self.show_log()
                raise
        return self

    def _wait_for_address(self):
        while True:
            check(self.process.poll() is None, f"the server exited {self.process.returncode}")
            with contextlib.suppress(OSError, ValueError):
                return json.loads(self.info.read_text())["url"]
            time.sleep(0.02)

    def __exit__(self, kind, _value, _trace):
        try:
            if kind in (None, Fatal):
                with step("stop open-cursor by SIGTERM", 30):
                    self.process.send_signal(signal.SIGTERM)
                    code = self.process.wait()
                    check(code == 0, f"it exited {code}")
                    self.check_none_left(self.children)
        finally:
            self._kill()
            if len(failures) > self.failed_before:
                self.show_log()

    def agents(self):
        """The running agents, without launchers that wait for a next run."""
        return [line for line in self.children() if " agent-launcher " not in line or " --waits " not in line]

    def children(self):
        """The agents and their launchers: they get the workspace or a directory of theirs as an argument."""
        listing = subprocess.check_output(["ps", "-axww", "-o", "pid=,args="], text=True)
        ours = (str(self.workspace), str(self.home))
        lines = [line.strip() for line in listing.splitlines() if any(path in line for path in ours)]
        return [line for line in lines if line.split()[0] != str(self.process.pid)]

    def runs(self):
        """The dumps of all turns so far: one for each request that was answered or failed."""
        return list((self.home / "dumps").glob("turn-*"))

    def check_no_agent_left(self, seconds=10):
        self.check_none_left(self.agents, seconds)

    @staticmethod
    def check_none_left(processes, seconds=10):
        deadline = time.monotonic() + seconds
        while left := processes():
            check(time.monotonic() < deadline, f"still running after {seconds} s: {left}")
            time.sleep(0.05)

    def _kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def show_log(self):
        with contextlib.suppress(OSError):
            lines = self.log.read_text(errors="replace").splitlines()
            print("the server's last lines:", *lines[-30:], sep="\n  ", file=sys.stderr)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as response:
            return json.load(response)

    def ask(self, model, text):
        """The answer to a plain question, read without any client library."""
        return self.complete(model, [{"role": "user", "content": text}])["content"]

    def complete(self, model, messages, tools=None):
        """The message that continues a conversation."""
        body = {"model": model, "messages": messages}
        if tools:
            body["tools"] = tools
        request = urllib.request.Request(
            self.url + "/v1/chat/completions",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60 if tools else 20) as response:
            return json.load(response)["choices"][0]["message"]


def run(argv, cwd, env, seconds):
    """Runs a program in a process group of its own, which does not outlive the call."""
    process = subprocess.Popen(
        argv, cwd=cwd, env=env, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Failed(f"{os.path.basename(argv[0])} was not done within {seconds} s") from None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode, out, err


def raises(kind, action, status=None):
    """Checks the class and status of the SDK error that an action ends with, and returns it."""
    try:
        value = action()
    except kind as error:
        seen = getattr(error, "status_code", None)
        check(status in (None, seen), f"{type(error).__name__} has status {seen}, not {status}")
        check(error.message, f"{type(error).__name__} without a message")
        return error
    raise Failed(f"no {kind.__name__}, but {value}")


def node(script, directory, server, *arguments):
    """Runs a script of this directory by Node with the packages that are installed in `directory`."""
    file = pathlib.Path(__file__).parent / script
    environment = {"PATH": os.environ["PATH"], "HOME": str(server.home), "CLIENT_DIRECTORY": directory}
    argv = ["node", str(file), server.url, str(server.workspace), *arguments]
    status, out, err = run(argv, server.workspace, environment, 60)
    check(status == 0, f"{script} exited {status}: {out}{err}")
