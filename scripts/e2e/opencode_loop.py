"""Ten tools of OpenCode in one prompt, and a subagent's own calls meanwhile, with as few starts of the agent."""

import loops
from harness import check, step
from opencode_client import calls_of
from opencode_tools import SECONDS, SKILL, Player, page


def ten(player, server):
    """(call of the agent, tool that OpenCode must execute, what its record holds)."""
    player.file("loop.txt", "one\ntwo\n")
    loop, folder = player.path("loop.txt"), str(player.workspace)
    todo = {"id": "1", "content": "Look", "status": "TODO_STATUS_PENDING"}
    inner = loops.script({"glob": {"directory": folder, "pattern": "loop.*"}}, {"read": {"path": loop}})
    shell = {"command": "wc -l loop.txt", "description": "Count lines"}
    with page() as url:
        calls = [
            ({"glob": {"directory": folder, "pattern": "loop.*"}}, "glob", loop),
            ({"read": {"path": loop}}, "read", "two"),
            ({"grep": {"pattern": "two", "path": folder}}, "grep", "Line 2: two"),
            ({"edit": {"path": loop, "old": "two", "new": "2\n3"}}, "edit", "applied successfully"),
            ({"shell": shell}, "bash", "3 loop.txt"),
            ({"write": {"path": player.path("loop-2.txt"), "text": "done\n"}}, "write", "success"),
            ({"todo": {"todos": [todo]}}, "todowrite", "Look"),
            ({"web_fetch": {"url": url}}, "webfetch", "A page of our own"),
            ({"task": {"description": "Read a file", "prompt": inner}}, "task", loops.END),
            (loops.client_tool("skill", {"name": "greet"}), "skill", 'Say "moin".'),
        ]
        # The subagent has a prompt of its own, and two results.
        with loops.starts(server, 2, len(calls) + 2):
            session = player.served.session()
            made, text = player.served.prompt(session, loops.MODEL, loops.script(*(call for call, _, _ in calls)))
    check([name for name, _ in made] == [name for _, name, _ in calls], f"it executed {made}; {text}")
    for (_, name, wanted), (_, state) in zip(calls, made):
        check(state["status"] == "completed" and wanted in state["output"], f"{name}: {state}")
    check(text.endswith(loops.END), f"the answer is {text!r}")
    states = dict(made)
    inside = calls_of(player.served.messages(states["task"]["metadata"]["sessionId"]))
    check([name for name, _ in inside] == ["glob", "read"], f"the subagent's: {inside}")
    check("3" in inside[1][1]["output"], f"the subagent did not see the edit: {inside}")


def proof(opencode, server):
    skill = opencode.workspace / ".opencode/skills/greet/SKILL.md"
    skill.parent.mkdir(parents=True)
    skill.write_text(SKILL)
    with opencode.served() as served:
        with step(f"ten calls, one of a subagent that makes two: {loops.ONE_START}", SECONDS):
            ten(Player(served, opencode.workspace), server)
