"""Builds the container's last stage in a root directory and runs it there; see scripts/e2e-container.

Usage: container.py BINARY DEBIAN_ROOT, in a mount namespace of its own.
"""

import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import harness
from harness import check, step

ROOT = pathlib.Path(__file__).resolve().parents[2]
PORT = 32124


def instructions():
    """Those of the last stage: names and what follows."""
    text = (ROOT / "scripts/package/Containerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    found = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    last = max(at for at, (name, _) in enumerate(found) if name == "FROM")
    return found[last + 1 :]


class Container:
    def __init__(self, binary, root):
        self.binary, self.root = binary, root
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.arguments = {}
        self.user = self.entry = self.command = self.health = None
        self.directory = "/"

    def chroot(self, argv, user=None):
        """A command in the root, as this user, without a capability if that is not root."""
        leading = ["/usr/sbin/chroot"]
        if user:
            leading += [f"--userspec={user}", "--groups="]
            leading = ["setpriv", "--no-new-privs", *leading]
        return [*leading, str(self.root), *argv]

    def build(self):
        # Of the first stage, the program alone is used.
        for name, rest in instructions():
            match name:
                case "ARG":
                    key, _, value = rest.partition("=")
                    self.arguments[key] = value
                case "RUN":
                    environment = {**self.environment, **self.arguments, "DEBIAN_FRONTEND": "noninteractive"}
                    # What the machine needs to reach Debian's packages.
                    environment |= {key: value for key, value in os.environ.items() if "proxy" in key.lower()}
                    done = subprocess.run(
                        self.chroot(["/bin/sh", "-c", rest]), env=environment, text=True,
                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    )
                    check(done.returncode == 0, f"RUN {rest} exited {done.returncode}: {done.stdout[-1500:]}")
                case "COPY":
                    *sources, target = shlex.split(rest.replace("--from=build ", ""))
                    is_program = sources == ["/src/target/release/open-cursor"]
                    shutil.copy(self.binary if is_program else ROOT / sources[0], f"{self.root}{target}")
                case "ENV":
                    self.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
                case "USER":
                    self.user = rest
                case "WORKDIR":
                    self.directory = rest
                case "ENTRYPOINT":
                    self.entry = json.loads(rest)
                case "CMD":
                    self.command = json.loads(rest)
                case "HEALTHCHECK":
                    self.health = json.loads(rest[rest.index("CMD ") + 4 :])
                case "VOLUME" | "EXPOSE":
                    pass
                case other:
                    check(False, f"unknown instruction {other}")

    def mount(self):
        """The root read-only but for the volume and /tmp; /proc and the usual devices."""
        root = self.root

        def mount(*arguments):
            subprocess.run(["mount", *map(str, arguments)], check=True)

        mount("--bind", root, root)
        data = root.parent / "data"
        # An engine fills a new volume with what the image has there.
        shutil.copytree(root / "data", data)
        for path in (data, data / "workspaces"):
            shutil.chown(path, 10001, 10001)
            path.chmod(0o700)
        mount("--bind", data, root / "data")
        mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", root / "tmp")
        mount("-t", "proc", "proc", root / "proc")
        mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", root / "dev")
        for device in ("null", "zero", "random", "urandom", "full"):
            (root / "dev" / device).touch()
            mount("--bind", f"/dev/{device}", root / "dev" / device)
        (root / "dev/fd").symlink_to("/proc/self/fd")
        mount("-o", "remount,bind,ro", root)

    def start(self, arguments, environment, log):
        environment = {**self.environment, **environment}
        argv = ["/bin/sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", self.directory, *self.entry, *arguments]
        return subprocess.Popen(
            self.chroot(argv, self.user), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    def run(self, argv, environment=None):
        environment = {**self.environment, **(environment or {})}
        done = subprocess.run(self.chroot(argv, self.user), env=environment, text=True, capture_output=True, timeout=60)
        return done.returncode, done.stdout + done.stderr


def ask(path, body=None, key="a-key"):
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}{path}",
        json.dumps(body).encode() if body else None,
        {"content-type": "application/json", "authorization": f"Bearer {key}"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def main(binary, debian):
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="open-cursor-e2e-")).resolve()
    # An engine's root is there for all.
    scratch.chmod(0o755)
    root = scratch / "root"
    server = None
    try:
        with step("a Debian root", 60, fatal=True):
            subprocess.run(["cp", "-a", "--reflink=auto", debian, root], check=True)
            shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
        container = Container(binary, root)
        with step("the steps of the Containerfile", 240, fatal=True):
            container.build()
        with step("a read-only root, another user", 20, fatal=True):
            container.mount()
            status, out = container.run(["/bin/sh", "-c", "id -u; touch /x; touch /data/x && rm /data/x && echo data"])
            check("10001" in out and "Read-only file system" in out and "data" in out, out)
        with step("without a key the default command says what is missing"):
            with open(scratch / "refused", "wb") as log:
                process = container.start([*container.command, "--agent", "replay"], {}, log)
                check(process.wait(20) == 2, f"it exited {process.returncode}")
            words = (scratch / "refused").read_text()
            check("CURSOR_ACP_API_KEY" in words, words)
        with step("--fence require refuses to start where there is no view"):
            argv = [*container.entry, "serve", "--agent", "replay", "--fence", "require", "--port", "0"]
            status, out = container.run(argv)
            check(status == 1 and "fence" in out, f"it exited {status}: {out}")
        with step("with one it serves, and its health check passes", 60, fatal=True):
            log = open(scratch / "log", "wb")
            key = {"CURSOR_ACP_API_KEY": "a-key"}
            server = container.start([*container.command, "--agent", "replay"], key, log)
            while True:
                check(server.poll() is None, f"it exited {server.returncode}: {(scratch / 'log').read_text()}")
                with contextlib.suppress(OSError, urllib.error.URLError):
                    ask("/healthz")
                    break
                time.sleep(0.1)
            status, out = container.run(container.health)
            check(status == 0, f"the health check exited {status}: {out}")
        with step("it answers, and reports the fence"):
            answer = ask("/v1/chat/completions", {"model": "replay", "messages": [{"role": "user", "content": "hi there"}]})
            check("hi there" in answer["choices"][0]["message"]["content"], str(answer))
            fence = ask("/health")["fence"]
            # A root that was changed to allows no namespaces for users, as an engine's default profile.
            check(fence["view"]["state"] == "unavailable", str(fence))
        print(*(f"      {name}: {fence[name]['state']}" for name in ("view", "writes", "processes")), sep="\n")
        with step("SIGTERM ends it, and with it the health check's success", 40):
            server.send_signal(signal.SIGTERM)
            check(server.wait(30) == 0, f"it exited {server.returncode}")
            status, _ = container.run(container.health)
            check(status != 0, "the health check passes without a server")
    except harness.Fatal:
        pass
    finally:
        if server and server.poll() is None:
            server.kill()
            server.wait()
        # The mounts first, or what they show would be removed.
        for mounted in reversed(sorted(mounts(root))):
            subprocess.run(["umount", "--lazy", mounted], check=False)
        shutil.rmtree(scratch, ignore_errors=True)
    if harness.failures:
        sys.exit(f"{len(harness.failures)} failed: " + "; ".join(harness.failures))


def mounts(root):
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    found = [line.split()[4] for line in lines]
    return [path for path in found if path == str(root) or path.startswith(f"{root}/")]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
