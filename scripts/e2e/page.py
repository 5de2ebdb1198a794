"""The page in a real browser; see scripts/e2e-page."""

import pathlib
import subprocess
import sys
import time

from harness import Failed, Server, check, main, run, step


def browse(server, what, *arguments):
    """One visit; what it prints is a figure worth to be seen."""
    script = pathlib.Path(__file__).parent / "page.mjs"
    environment = {"PATH": PATH, "HOME": str(server.home), "CLIENT_DIRECTORY": PACKAGES}
    status, out, err = run(["node", str(script), server.url, SHOTS, what, *arguments], server.home, environment, 120)
    check(status == 0, f"{what}: {out}{err}")
    if out.strip():
        print(out.strip(), end=" ", flush=True)


def history(server):
    return server.home / ".local/share/open-cursor/history.db"


def fill(server, count, days):
    subprocess.run([SYNTHETIC, str(history(server)), str(count), str(days)], check=True, timeout=120)


def proof(server, scratch):
    with step("no turn yet", 120):
        browse(server, "empty")
    with step("one turn, and keyboard", 120):
        server.ask("replay", "hello")
        browse(server, "one")
    with step("a turn is shown while it runs, and once it is over", 120):
        browse(server, "live")
    with step("10,000 turns, dark, and on a small screen", 240):
        fill(server, 10_000, 30)
        browse(server, "many")

    day = scratch / "day"
    day.mkdir()
    with Server(BINARY, day) as server:
        with step("a day of 20,000 turns opens", 150):
            fill(server, 20_000, 1)
            size = sum(file.stat().st_size for file in history(server).parent.iterdir()) / 1e6
            check(size < 20, f"the history takes {size:.1f} MB")
            print(f"{size:.1f} MB,", end=" ")
            # The target is 200 ms on an idle machine; a debug build has none.
            browse(server, "fast", *([] if IS_DEBUG else ["1000"]))
        with step("usage sums it up"):
            times = []
            for _ in range(3):
                begun = time.monotonic()
                status, out, err = run([BINARY, "usage"], day, {"HOME": str(server.home), "PATH": PATH}, 20)
                times.append((time.monotonic() - begun) * 1000)
                check(status == 0 and "20000" in out, f"{status} {out} {err}")
            print(f"{min(times):.0f} ms", end=" ")
            if not IS_DEBUG and min(times) >= 100:
                raise Failed(f"usage takes {min(times):.0f} ms")

    keyed = scratch / "keyed"
    keyed.mkdir()
    (keyed / "key").write_text("s3cret-key\n")
    with Server(BINARY, keyed, ("--api-key-file", str(keyed / "key"))) as server:
        with step("with an API key: a form takes it, and nothing is shown before"):
            browse(server, "key", "s3cret-key")


if __name__ == "__main__":
    import os

    PATH = os.environ["PATH"]
    PACKAGES, BINARY, SYNTHETIC, SHOTS = sys.argv[1:]
    IS_DEBUG = "/debug/" in BINARY
    pathlib.Path(SHOTS).mkdir(parents=True, exist_ok=True)
    main(BINARY, proof)
