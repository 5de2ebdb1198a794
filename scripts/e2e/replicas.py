"""Replicas behind a balancer, stopped, killed and added under load; see scripts/e2e-replicas.

Usage: replicas.py BINARY FAKE_AGENT LOOPS. Standard library only, Python >= 3.9; Linux (127.0.0.2 and up).
"""

import collections
import contextlib
import http.client
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import harness
from harness import check, step

ROOT = pathlib.Path(__file__).resolve().parents[2]
REPLICAS = 4
# At one time.
CLIENTS = 8
# A client of OpenAI's tries a request three times; one that waits for a restart needs some more.
TRIES = 8

TOOL = {
    "type": "function",
    "function": {
        "name": "bash",
        "description": "Runs a command.",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    },
}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Replica:
    """One `open-cursor serve` on a loopback address of its own; it may be stopped and started again."""

    def __init__(self, number, binary, agent, scratch, port, redis):
        self.address = f"127.0.0.{number + 1}"
        self.port = port
        self.home = scratch / f"replica-{number}"
        self.home.mkdir()
        self.log = self.home / "log"
        self.argv = [binary, "serve", "--host", self.address, "--port", str(port), "--agent", agent]
        self.argv += ["--credentials", "client", "--max-running", "4", "--workspace-base", str(self.home)]
        self.argv += ["--store", f"redis://127.0.0.1:{redis}"]
        self.process = None

    def start(self):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "TMPDIR": str(self.home)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv, env=environment, cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def wait_ready(self):
        while True:
            check(self.process.poll() is None, f"{self.address} exited {self.process.returncode}")
            with contextlib.suppress(OSError):
                if request(self.address, self.port, "GET", "/readyz")[0] == 200:
                    return
            time.sleep(0.05)

    def end(self, how=signal.SIGTERM):
        """The exit code after this signal."""
        if self.process is None:
            return None
        self.process.send_signal(how)
        code = self.process.wait(30)
        self.process = None
        return code


def request(host, port, method, path, body=None, headers=(), timeout=60):
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        headers = {"content-type": "application/json", **dict(headers)}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


class Count:
    """What the loops saw."""

    def __init__(self):
        self.lock = threading.Lock()
        self.runs = collections.Counter()
        self.retries = collections.Counter()
        self.seconds = []
        self.lost = []

    def add(self, run, seconds):
        with self.lock:
            self.runs[run] += 1
            self.seconds.append(seconds)

    def retry(self, why):
        with self.lock:
            self.retries[why] += 1


def ask(address, body, headers, count):
    """The message of the answer, whole, and its headers; asked again as the SDKs do."""
    for attempt in itertools.count(1):
        try:
            status, found, text = request(*address, "POST", "/v1/chat/completions", body, headers)
            if status == 200:
                message = whole(text, body["stream"])
                if message is not None:
                    return message, found
                why = "the stream broke off"
            else:
                check(status in (429, 502, 503, 504), f"{status}: {text[:300]}")
                why = f"status {status}"
        except (OSError, http.client.HTTPException) as error:
            why = type(error).__name__
        check(attempt < TRIES, f"no answer after {attempt} attempts, the last one: {why}")
        count.retry(why)
        time.sleep(min(0.25 * 2**attempt, 4) * random.uniform(0.75, 1))


def whole(text, stream):
    """The message of an answer; `None` if a stream has no end."""
    if not stream:
        return json.loads(text)["choices"][0]["message"]
    message, calls, done = {"content": ""}, {}, False
    for line in text.decode().splitlines():
        data = line.removeprefix("data: ")
        if data == line or done:
            continue
        if data == "[DONE]":
            done = True
            continue
        event = json.loads(data)
        if "error" in event:
            return None
        for choice in event["choices"]:
            message["content"] += choice["delta"].get("content") or ""
            for delta in choice["delta"].get("tool_calls", []):
                call = calls.setdefault(delta["index"], {"function": {"arguments": ""}})
                call.update({key: delta[key] for key in ("id", "type") if key in delta})
                function = delta.get("function", {})
                call["function"]["name"] = function.get("name") or call["function"].get("name")
                call["function"]["arguments"] += function.get("arguments") or ""
    if not done:
        return None
    return {**message, "role": "assistant", **({"tool_calls": list(calls.values())} if calls else {})}


def loop(number, address, count, pause=0.1):
    """A question, a call, its result, an answer that holds the result."""
    user = f"key_user{number % 20}"
    headers = [("authorization", f"Bearer {user}")]
    if number % 4:
        headers.append(("x-session-id", f"session-{number}"))
    messages = [{"role": "user", "content": f"loop {number}"}]
    body = {"model": "fake-mcp-one", "messages": messages, "tools": [TOOL], "stream": number % 2 == 0}
    begun = time.monotonic()
    asked, found = ask(address, body, headers, count)
    count.add("first", time.monotonic() - begun)
    calls = asked.get("tool_calls") or []
    check(len(calls) == 1 and calls[0]["function"]["name"] == "bash", f"no call: {asked}")
    if number % 4 == 0:
        # A gateway that keeps our header.
        headers.append(("x-open-cursor-affinity", found["x-open-cursor-affinity"]))
    time.sleep(random.uniform(0, 2 * pause))
    result = f"result-{number}-{random.getrandbits(64):x}"
    messages += [asked, {"role": "tool", "tool_call_id": calls[0]["id"], "content": result}]
    begun = time.monotonic()
    told, found = ask(address, body, headers, count)
    count.add(found["x-open-cursor-run"], time.monotonic() - begun)
    # The agent repeats the result in the run that waited for it; one from the start has it in its prompt.
    is_answer = result in told["content"] or told["content"] == "The tool has answered."
    check(is_answer, f"the answer lacks {result}: {told}")


def loops(numbers, address, count):
    """Runs the loops by several clients."""
    numbers = iter(numbers)
    lock = threading.Lock()

    def client():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                loop(number, address, count)
            except Exception as error:
                with count.lock:
                    count.lost.append(f"loop {number}: {type(error).__name__}: {error}")

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()


class Chaos(threading.Thread):
    """Stops or kills a replica every few seconds and starts it again; in between the fourth comes and goes."""

    def __init__(self, replicas):
        super().__init__()
        self.replicas = replicas
        self.done = threading.Event()
        self.deeds = collections.Counter()
        self.error = None

    def is_whole(self):
        return all(self.deeds[deed] for deed in ("stopped", "killed", "added", "removed"))

    def run(self):
        try:
            for turn in itertools.count():
                if self.done.wait(1):
                    return
                if turn % 3 == 2:
                    extra = self.replicas[-1]
                    if extra.process is None:
                        self.deeds["added"] += 1
                        extra.start()
                        extra.wait_ready()
                    else:
                        self.deeds["removed"] += 1
                        check(extra.end() == 0, "the fourth replica did not stop cleanly")
                    continue
                replica = self.replicas[turn % 3]
                killed = turn % 2
                self.deeds["killed" if killed else "stopped"] += 1
                code = replica.end(signal.SIGKILL if killed else signal.SIGTERM)
                check(killed or code == 0, f"{replica.address} exited {code} on SIGTERM")
                if self.done.wait(0.5):
                    return
                replica.start()
                replica.wait_ready()
        except Exception as error:
            self.error = error


def balancer(name, scratch, front, port):
    """HAProxy or nginx by our file, with the replicas' addresses in the place of their names."""
    source, argv = {
        "haproxy": ("haproxy.cfg", lambda file: ["haproxy", "-db", "-q", "-f", file]),
        "nginx": ("nginx.conf", lambda file: ["nginx", "-p", str(scratch), "-c", file, "-g", "daemon off; pid ng.pid; error_log ng.log;"]),
    }[name]
    text = (ROOT / "scripts/deploy" / source).read_text()
    for number in range(1, REPLICAS + 1):
        text = text.replace(f" replica-{number}:32124", f" 127.0.0.{number + 1}:{port}")
    text = text.replace("bind :8080", f"bind 127.0.0.1:{front}").replace("listen 8080;", f"listen 127.0.0.1:{front};")
    file = scratch / source
    file.write_text(text)
    (scratch / "logs").mkdir(exist_ok=True)
    process = subprocess.Popen(argv(str(file)), stdin=subprocess.DEVNULL)
    while True:
        check(process.poll() is None, f"{name} exited {process.returncode}")
        with contextlib.suppress(OSError):
            status, _, _ = request("127.0.0.1", front, "GET", "/healthz")
            if status == 200:
                return process
        time.sleep(0.05)


def milliseconds(seconds):
    return f"{statistics.median(seconds) * 1000:.0f} ms"


def under_load(name, front, replicas, count_of_loops, scratch, port):
    with step(f"{name}: start", 20, fatal=True):
        process = balancer(name, scratch, front, port)
    try:
        with step(f"{name}: the same loops without and with it, nothing being stopped", 120):
            alone, through = Count(), Count()
            # Those with a name, which both balancers keep on one replica.
            for number in (number for number in range(1, 20) if number % 4):
                loop(number, (replicas[0].address, port), alone, pause=0)
                loop(number, ("127.0.0.1", front), through, pause=0)
            check(through.runs["fresh"] == 0, f"affinity does not hold: {dict(through.runs)}")
        added = statistics.median(through.seconds) - statistics.median(alone.seconds)
        print(f"      one replica {milliseconds(alone.seconds)} a request, through {name} {milliseconds(through.seconds)}: {added * 1000:+.1f} ms")
        seconds = 60 + count_of_loops * 2
        with step(f"{name}: {count_of_loops} tool loops while replicas are stopped, killed and added", seconds):
            count, chaos = Count(), Chaos(replicas)
            chaos.start()
            begun = time.monotonic()
            try:
                numbers = itertools.takewhile(
                    lambda number: number < 1000 + count_of_loops
                    or not chaos.is_whole() and time.monotonic() < begun + seconds / 2,
                    itertools.count(1000),
                )
                loops(numbers, ("127.0.0.1", front), count)
            finally:
                chaos.done.set()
                chaos.join()
            took = time.monotonic() - begun
            check(chaos.error is None, f"a replica: {chaos.error}")
            check(not count.lost, f"{len(count.lost)} loops failed: {count.lost[:3]}")
            check(chaos.is_whole(), f"too short: {chaos.deeds}")
        second = count.runs["resumed"] + count.runs["fresh"] + count.runs["replayed"]
        ordered = sorted(count.seconds)
        print(f"      {count.runs['first']} loops in {took:.0f} s, lost {len(count.lost)}; replicas: {dict(chaos.deeds)}")
        print(f"      of {second} continuations {100 * count.runs['resumed'] / max(second, 1):.1f} % were resumed: {dict(count.runs)}")
        print(f"      requests: median {milliseconds(ordered)}, 95 % below {ordered[int(len(ordered) * 0.95)] * 1000:.0f} ms; asked again: {dict(count.retries)}")
        for replica in replicas:
            if replica.process is None and replica is not replicas[-1]:
                replica.start()
                replica.wait_ready()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def shared_store(replicas, redis, port):
    def respond(replica, key, body, timeout=30):
        body = {"model": "fake-ok", **body}
        headers = [("authorization", f"Bearer {key}")]
        status, _, text = request(replica.address, port, "POST", "/v1/responses", body, headers, timeout)
        return status, json.loads(text)

    first, second, third = replicas[:3]
    with step("a response is continued on any replica, by its owner alone"):
        status, one = respond(first, "key_a", {"input": "my first words"})
        check(status == 200 and one["store"], f"{status}: {one}")
        status, two = respond(second, "key_a", {"input": "more", "previous_response_id": one["id"]})
        check(status == 200 and two["store"], f"{status}: {two}")
        status, three = respond(third, "key_a", {"input": "and more", "previous_response_id": two["id"]})
        check(status == 200, f"{status}: {three}")
        item = {"type": "item_reference", "id": one["output"][0]["id"]}
        status, found = respond(third, "key_a", {"input": [item, {"role": "user", "content": "on"}]})
        check(status == 200, f"{status}: {found}")
        for key in ("key_b", "key_a2"):
            status, refused = respond(second, key, {"input": "more", "previous_response_id": one["id"]})
            check((status, refused["error"]["code"]) == (400, "previous_response_not_found"), f"{status}: {refused}")
    with step("a Redis that hangs or is gone makes no request hang", 60):
        for how in (signal.SIGSTOP, signal.SIGKILL):
            redis.send_signal(how)
            begun = time.monotonic()
            status, answer = respond(first, "key_a", {"input": "hi"})
            check(status == 200 and answer["store"] is False, f"{status}: {answer}")
            status, refused = respond(first, "key_a", {"input": "on", "previous_response_id": one["id"]})
            words = refused["error"]["message"]
            check(status == 400 and "does not answer" in words, f"{status}: {refused}")
            check(time.monotonic() - begun < 15, f"it took {time.monotonic() - begun:.0f} s")
            time.sleep(2.1)


def start_redis(scratch):
    port = free_port()
    argv = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(scratch)]
    process = subprocess.Popen([*argv, "--logfile", "redis.log"], stdin=subprocess.DEVNULL)
    while True:
        check(process.poll() is None, "redis-server exited")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return process, port
        time.sleep(0.05)


def main(binary, agent, count_of_loops):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="open-cursor-e2e-")).resolve()
    replicas, redis = [], None
    try:
        with step("start Redis and three replicas", 60, fatal=True):
            redis, redis_port = start_redis(scratch)
            port = free_port()
            replicas = [Replica(number, binary, agent, scratch, port, redis_port) for number in range(1, REPLICAS + 1)]
            for replica in replicas[:-1]:
                replica.start()
            for replica in replicas[:-1]:
                replica.wait_ready()
        under_load("haproxy", free_port(), replicas, count_of_loops * 3 // 4, scratch, port)
        under_load("nginx", free_port(), replicas, count_of_loops // 4, scratch, port)
        shared_store(replicas, redis, port)
        with step("the replicas stop cleanly and leave no process", 60):
            for replica in replicas:
                check(replica.end() in (None, 0), f"{replica.address} did not stop cleanly")
            deadline = time.monotonic() + 15
            while left := processes_of(scratch):
                check(time.monotonic() < deadline, f"left: {left}")
                time.sleep(0.1)
    except harness.Fatal:
        pass
    finally:
        for process in [redis, *(replica.process for replica in replicas)]:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        if harness.failures:
            for replica in replicas:
                print(replica.log.read_text(errors="replace")[-2000:] if replica.log.exists() else "", file=sys.stderr)
        shutil.rmtree(scratch, ignore_errors=True)
    if harness.failures:
        sys.exit(f"{len(harness.failures)} failed: " + "; ".join(harness.failures))


def processes_of(scratch):
    """The agents that are left: they have a home of ours in their environment."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{scratch}/replica".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
