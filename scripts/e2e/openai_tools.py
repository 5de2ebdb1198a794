"""Tools with the names and arguments of OpenCode's, executed for real in one directory."""

import json
import pathlib
import subprocess

from harness import check


TYPES = {"string": str, "number": (int, float)}


def tool(name, description, required, optional):
    properties = {
        key: {"type": kind, "description": f"The {key}."} for key, kind in (required | optional).items()
    }
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


STRING, NUMBER = "string", "number"
TOOLS = [
    tool("read", "Reads a file.", {"filePath": STRING}, {"offset": NUMBER, "limit": NUMBER}),
    tool("write", "Writes a file.", {"filePath": STRING, "content": STRING}, {}),
    tool("bash", "Runs a command.", {"command": STRING}, {"timeout": NUMBER, "workdir": STRING}),
]
SCHEMAS = {t["function"]["name"]: t["function"]["parameters"] for t in TOOLS}


class Workspace:
    """Executes calls; a path outside the directory is a failure of the test."""

    def __init__(self, directory):
        self.directory = directory.resolve()

    def execute(self, function):
        check(function.name in SCHEMAS, f"{function.name} was not offered")
        schema = SCHEMAS[function.name]
        arguments = json.loads(function.arguments)
        missing = set(schema["required"]) - set(arguments)
        check(not missing, f"{function.name} lacks {missing}: {arguments}")
        for key, value in arguments.items():
            kind = schema["properties"].get(key, {}).get("type")
            check(kind, f"{function.name} has no argument {key}: {arguments}")
            check(isinstance(value, TYPES[kind]), f"{key} is no {kind}: {arguments}")
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
