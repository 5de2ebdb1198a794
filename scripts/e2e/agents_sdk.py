"""The OpenAI Agents SDK for Python as a client: its own loop, by either of its two kinds of models."""

import asyncio
import subprocess
import sys

import agents
import openai

import loops
from harness import check, main, step

SECONDS = 60


def tools(directory):
    """Tools as an agent program has them, executed in one directory."""

    def find(pattern: str, path: str) -> str:
        return "\n".join(sorted(str(one) for one in (directory / path).glob(pattern)))

    @agents.function_tool
    def read_file(path: str) -> str:
        """Reads a file."""
        return (directory / path).read_text()

    @agents.function_tool
    def write_file(path: str, content: str) -> str:
        """Writes a file."""
        (directory / path).write_text(content)
        return "written"

    @agents.function_tool
    def edit_file(path: str, old_string: str, new_string: str) -> str:
        """Replaces a text in a file that is there once."""
        text = (directory / path).read_text()
        if text.count(old_string) != 1:
            return f"error: the text is there {text.count(old_string)} times"
        (directory / path).write_text(text.replace(old_string, new_string))
        return "edited"

    @agents.function_tool
    def run_shell_command(command: str) -> str:
        """Runs a command."""
        argv = ["bash", "-c", command]
        done = subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=20)
        return done.stdout + done.stderr

    @agents.function_tool
    def grep(pattern: str, path: str) -> str:
        """Searches in files."""
        argv = ["grep", "-rn", pattern, path]
        return subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=20).stdout

    @agents.function_tool
    def glob(pattern: str, path: str) -> str:
        """Finds files by name."""
        return find(pattern, path)

    @agents.function_tool
    def list_directory(path: str) -> str:
        """Lists a directory."""
        return find("*", path)

    @agents.function_tool
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"It rains in {city}."

    return [read_file, write_file, edit_file, run_shell_command, grep, glob, list_directory, weather]


def ten(directory):
    """(call of the agent, tool that the SDK must execute, what its result holds)."""
    file, other = str(directory / "loop.txt"), str(directory / "loop-2.txt")

    def shell(command):
        return {"shell": {"command": command, "description": "Run it"}}

    return [
        ({"glob": {"directory": str(directory), "pattern": "loop.*"}}, "glob", file),
        ({"read": {"path": file}}, "read_file", "one\ntwo\n"),
        ({"grep": {"pattern": "two", "path": str(directory)}}, "grep", f"{file}:2:two"),
        ({"edit": {"path": file, "old": "two", "new": "2\n3"}}, "edit_file", "edited"),
        (shell("wc -l loop.txt"), "run_shell_command", "3 loop.txt"),
        ({"write": {"path": other, "text": "done\n"}}, "write_file", "written"),
        ({"ls": {"path": str(directory)}}, "list_directory", other),
        (loops.client_tool("weather", {"city": "Kiel"}), "weather", "It rains in Kiel."),
        ({"read": {"path": other}}, "read_file", "done"),
        (shell("cat loop.txt loop-2.txt"), "run_shell_command", "one\n2\n3\ndone"),
    ]


async def play(model, streamed, directory):
    (directory / "loop.txt").write_text("one\ntwo\n")
    (directory / "loop-2.txt").unlink(missing_ok=True)
    calls = ten(directory)
    agent = agents.Agent(name="loop", instructions="You work in a directory.", model=model, tools=tools(directory))
    prompt = loops.script(*(call for call, _, _ in calls))
    if streamed:
        result = agents.Runner.run_streamed(agent, prompt, max_turns=len(calls) + 1)
        async for _ in result.stream_events():
            pass
    else:
        result = await agents.Runner.run(agent, prompt, max_turns=len(calls) + 1)
    check(result.final_output.endswith(loops.END), f"the answer is {result.final_output!r}")
    made = [item.raw_item for item in result.new_items if item.type == "tool_call_item"]
    outputs = [item.output for item in result.new_items if item.type == "tool_call_output_item"]
    names = [call.name for call in made]
    check(names == [name for _, name, _ in calls], f"it executed {names}")
    for (_, name, wanted), output in zip(calls, outputs, strict=True):
        check(wanted in output, f"{name} returned {output!r}, not {wanted!r}")


def proof(server, _scratch):
    client = openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="unused", max_retries=0, timeout=20)
    agents.set_tracing_disabled(True)
    models = [
        ("Responses", agents.OpenAIResponsesModel(loops.MODEL, client)),
        ("chat completions", agents.OpenAIChatCompletionsModel(loops.MODEL, client)),
    ]

    async def all_of_them():
        for name, model in models:
            for streamed in (False, True):
                with step(f"ten calls, {name}, {'streamed' if streamed else 'whole'}: {loops.ONE_START}", SECONDS):
                    with loops.starts(server, 1, 10):
                        await play(model, streamed, server.workspace)
        await client.close()

    asyncio.run(all_of_them())


if __name__ == "__main__":
    (BINARY,) = sys.argv[1:]
    # A run that waits takes no place.
    main(BINARY, proof, "--max-running", "1")
