"""What a turn costs a server that runs, parks or queues it: memory, descriptors and processes.

Usage: turn_costs.py BINARY FAKE_AGENT. Each figure is the difference between N such turns and none, by N. What the
agent itself takes is another matter: here it is the tests' own. Linux only (/proc).
"""

import asyncio
import contextlib
import json
import os
import pathlib
import sys
import tempfile
import urllib.request

from soak import Server, connect, head

TURNS = 8
TOOL = {"name": "bash", "parameters": {"type": "object", "properties": {"command": {"type": "string"}}}}


def health(server):
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/health", timeout=10) as response:
        return json.load(response)


def agents(server):
    """The processes of all runs and their memory in kB, shared pages counted once."""
    pids, memory = server.descendants(), 0
    for pid in pids:
        with contextlib.suppress(OSError):
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            memory += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return len(pids), memory


def cpu(server):
    """Seconds that the server took, and all its children that have ended."""
    fields = pathlib.Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


async def ask(server, model, tools=()):
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "x" * 4000}]}
    if tools:
        body["tools"] = [{"type": "function", "function": tool} for tool in tools]
    body = json.dumps(body).encode()
    reader, writer = await connect(server)
    writer.write(head(body) + body)
    await writer.drain()
    return reader, writer


async def until(server, condition):
    for _ in range(600):
        if condition(health(server)):
            # What was needed to get there is given back.
            await asyncio.sleep(1)
            return
        await asyncio.sleep(0.1)
    sys.exit(f"it did not come to that: {health(server)}")


async def cost(binary, agent, scratch, kind):
    """The server's memory, descriptors, processes, the processes' memory and the CPU time for one turn of this kind."""
    server = Server(binary, agent, scratch, "--max-running", str(TURNS), "--turns", "auto")
    try:
        # What the first turn of all needs stays.
        reader, writer = await ask(server, "fake-mcp-one", [TOOL])
        await reader.read()
        writer.close()
        reader, writer = await ask(server, "fake-ok")
        await reader.read()
        writer.close()
        await until(server, lambda it: (it["running"], it["queued"]) == (0, 0))
        open_now = []
        if kind == "queued":
            open_now += [await ask(server, "fake-hang-after-text") for _ in range(TURNS)]
            await until(server, lambda it: it["running"] == TURNS)
        parked = health(server)["parked"]
        begun = cpu(server)
        before = server.status("VmRSS"), server.files(), *agents(server)
        model, tools = ("fake-mcp-one", [TOOL]) if kind == "parked" else ("fake-hang-after-text", [])
        # Of one owner no more than eight wait.
        turns = TURNS - parked if kind == "parked" else TURNS
        for _ in range(turns):
            reader, writer = await ask(server, model, tools)
            if kind == "parked":
                await reader.read()
                writer.close()
            else:
                open_now.append((reader, writer))
        wanted = {"running": ("running", TURNS), "parked": ("parked", TURNS), "queued": ("queued", TURNS)}[kind]
        await until(server, lambda it: it[wanted[0]] == wanted[1])
        after = server.status("VmRSS"), server.files(), *agents(server)
        for _, writer in open_now:
            writer.close()
        await until(server, lambda it: (it["running"], it["queued"]) == (0, 0))
        took = (cpu(server) - begun) / turns
        return [*((b - a) / turns for a, b in zip(before, after)), took], before[0]
    finally:
        server.stop()


async def main(binary, agent):
    print("a turn that is   server KiB  descriptors  processes  of its agent, KiB  CPU ms to start and end")
    base = 0
    with tempfile.TemporaryDirectory(prefix="open-cursor-costs-") as scratch:
        for kind in ("running", "parked", "queued"):
            (memory, files, processes, theirs, took), base = await cost(binary, agent, scratch, kind)
            print(f"{kind:15}  {memory:10.0f}  {files:11.1f}  {processes:9.1f}  {theirs:17.0f}  {took * 1000:23.0f}")
    print(f"the server with none of them: {base} KiB")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
