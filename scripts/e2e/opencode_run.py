"""What a new user does: `open-cursor run -- opencode`, and `install`, in a home without anything."""

import pathlib

from harness import check, run, step

SECONDS = 90


class NewUser:
    """A home in which nothing is configured."""

    def __init__(self, opencode, binary, scratch):
        self.opencode, self.binary = opencode.program, binary
        self.home = scratch / "new-user"
        self.project = self.home / "project"
        self.project.mkdir(parents=True)
        ours = ("OPENCODE_CONFIG", "XDG_", "NO_PROXY")
        keep = {k: v for k, v in opencode.environment.items() if not k.startswith(ours)}
        self.environment = {**keep, "HOME": str(self.home), "CURSOR_AGENT_EXECUTABLE": "replay"}

    def open_cursor(self, *args):
        status, out, err = run([self.binary, *args], self.project, self.environment, SECONDS)
        check(status == 0, f"open-cursor {' '.join(args)} exited {status}: {out}{err}")
        return out

    def configs(self):
        return [str(path) for path in self.home.glob("**/opencode/opencode.json*")]


def without_configuration(user):
    out = user.open_cursor("run", "--", user.opencode, "run", "hello")
    check("replay agent" in out and "> hello" in out, f"opencode printed {out!r}")
    check(not user.configs(), f"a configuration was written: {user.configs()}")


def other_model(user):
    command = ("run", "--model", "replay-files", "--", user.opencode, "run", "go")
    out = user.open_cursor(*command)
    file = user.project / "hello-open-cursor.txt"
    check(file.is_file(), f"opencode wrote no file: {out!r}")


def installed(user):
    user.open_cursor("install", "--variants")
    check(len(user.configs()) == 1, f"configurations: {user.configs()}")
    # The server of `run` is where no file says.
    out = user.open_cursor("run", "--", user.opencode, "models", "cursor-acp")
    for model in ("cursor-acp/auto", "cursor-acp/replay-files"):
        check(model in out.split(), f"opencode lists {out!r}")
    before = pathlib.Path(user.configs()[0]).read_text()
    user.open_cursor("install", "--variants")
    check(pathlib.Path(user.configs()[0]).read_text() == before, "a second install changed it")
    user.open_cursor("uninstall")
    check(not user.configs(), f"left after uninstall: {user.configs()}")


def proof(opencode, binary, scratch):
    user = NewUser(opencode, binary, scratch)
    with step("run -- opencode: no configuration at all", SECONDS):
        without_configuration(user)
    with step("run --model: opencode begins with that one", SECONDS):
        other_model(user)
    with step("install, list, install again, uninstall", SECONDS):
        installed(user)
