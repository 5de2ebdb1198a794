"""Tools with the names and arguments of OpenCode's, executed for real in one directory."""

import json
import pathlib
import subprocess

from harness import check


def tool(name, description, **properties):
    parameters = {
        "type": "object",
        "properties": {key: {"type": "string", "description": what} for key, what in properties.items()},
        "required": list(properties),
    }
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


TOOLS = [
    tool("read", "Reads a file.", filePath="absolute path"),
    tool("write", "Writes a file.", filePath="absolute path", content="the whole content"),
    tool("bash", "Runs a shell command.", command="the command"),
]
REQUIRED = {t["function"]["name"]: t["function"]["parameters"]["required"] for t in TOOLS}


class Workspace:
    """Executes calls; a path outside the directory is a failure of the test."""

    def __init__(self, directory):
        self.directory = directory.resolve()

    def execute(self, function):
        check(function.name in REQUIRED, f"{function.name} was not offered")
        arguments = json.loads(function.arguments)
        check(isinstance(arguments, dict), f"the arguments are {function.arguments}")
        for name in REQUIRED[function.name]:
            check(isinstance(arguments.get(name), str), f"{function.name} without {name}: {arguments}")
        return getattr(self, function.name)(arguments)

    def path(self, arguments):
        path = (self.directory / pathlib.Path(arguments["filePath"])).resolve()
        check(path.is_relative_to(self.directory), f"{path} is outside of the workspace")
        return path

    def read(self, arguments):
        try:
            return self.path(arguments).read_text()
        except OSError as error:
            return f"error: {error}"

    def write(self, arguments):
        self.path(arguments).write_text(arguments["content"])
        return "Wrote file successfully."

    def bash(self, arguments):
        command = ["bash", "-c", arguments["command"]]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, timeout=20)
        return done.stdout + done.stderr
