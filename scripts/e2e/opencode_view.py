"""OpenCode with an agent that works on in its view: changes come together, and its last word when they are made."""

import loops
from harness import check, step
from opencode_tools import SECONDS, Player, steps


def play(player, prompt, expected):
    calls, text = player.served.prompt(player.served.session(), loops.MODEL, prompt)
    check([name for name, _ in calls] == expected, f"it executed {calls}; {text}")
    for name, state in calls:
        check(state["status"] == "completed", f"{name} did not succeed: {state}")
    check(text.endswith(loops.END), f"the answer is {text!r}")


def unread(player, server):
    """OpenCode refuses an edit of a file that it has not read, so it is asked to read it."""
    with loops.starts(server, 1, 1):
        play(player, loops.native(player.workspace), ["read", "edit", "write"])
    loops.check_native(player.workspace)


def eighteen(player, server):
    """12 reads, 3 searches, 2 edits and a command: only the command, which OpenCode executes, ends a run."""
    with loops.starts(server, 2, 1):
        play(player, loops.eighteen(player.workspace), ["bash", "read", "edit", "read", "edit"])
    loops.check_eighteen(player.workspace)


def reads(opencode, server):
    """What the agent reads by itself costs no request, and what it asks OpenCode for no start."""
    with opencode.served() as served:
        player = Player(served, opencode.workspace)
        player.file("reads.txt", "one\n")
        path = player.path("reads.txt")
        batches = [{"read": {"path": path}}, {"grep": {"pattern": "one", "path": path}}]
        shell = {"shell": {"command": "cat reads.txt", "description": "Show it"}}
        with loops.starts(server, 1, 1):
            player.play(steps(*([it] for it in [*batches, shell])), ["bash"])


def proof(opencode, server):
    with opencode.served() as served:
        player = Player(served, opencode.workspace)
        with step("reads and edits in a view: one start, and the edits of unread files succeed", SECONDS):
            unread(player, server)
        with step("12 reads, 3 searches, 2 edits and a command: two starts", SECONDS):
            eighteen(player, server)
