"""Builds, installs, runs and removes each package of the program; see scripts/e2e-packages.

Usage: packages.py BINARY. Python >= 3.11.4.
"""

import hashlib
import http.server
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import tomllib

import harness
from harness import check, run, step

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "scripts/package"
CPU = {"x86_64": ("x86_64", "x64"), "aarch64": ("aarch64", "arm64")}[platform.machine()]
TARGET = f"{CPU[0]}-unknown-linux-gnu"
NPM = f"linux-{CPU[1]}"
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]


def call(*argv, cwd=ROOT, seconds=120, env=None, **more):
    """The output of a program that must succeed."""
    argv = [str(argument) for argument in argv]
    status, out, err = run(argv, cwd, {**os.environ, **(env or {}), **more}, seconds)
    check(status == 0, f"{' '.join(argv)} exited {status}: {out[-2000:]}{err[-2000:]}")
    return out


def demonstrate(program, home, *leading):
    """The installed program is this version and runs its demo in an environment of its own."""
    home.mkdir(exist_ok=True)
    env = {"PATH": os.environ["PATH"], "HOME": str(home)}
    argv = [*map(str, leading), str(program)]
    status, out, err = run([*argv, "--version"], home, env, 20)
    check((status, out.strip()) == (0, f"open-cursor {VERSION}"), f"--version exited {status}: {out}{err}")
    status, out, err = run([*argv, "demo"], home, env, 60)
    check(status == 0 and out.strip(), f"demo exited {status}: {out}{err}")


def files(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


class Registry(http.server.BaseHTTPRequestHandler):
    """An npm registry of the packed packages. What it lacks is a 404, like the real one's."""

    packages = {}
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        name = self.path.lstrip("/").replace("%2f", "/")
        if name in self.packages:
            manifest, tarball = self.packages[name]
            digest = hashlib.sha1(tarball).hexdigest()
            address = f"http://{self.headers['host']}/{name}.tgz"
            version = {**manifest, "dist": {"tarball": address, "shasum": digest}}
            body = {"name": name, "dist-tags": {"latest": VERSION}, "versions": {VERSION: version}}
            self.answer(200, json.dumps(body).encode())
        elif name.removesuffix(".tgz") in self.packages:
            self.answer(200, self.packages[name.removesuffix(".tgz")][1])
        else:
            self.answer(404, b"{}")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def npm(binary, scratch):
    out = scratch / "npm"
    with step("npm: build and pack; nothing runs on installation"):
        # The packages of other platforms must not be fetched, so it does not matter what is in them.
        other = scratch / "other"
        other.write_text("for another platform\n")
        platforms = dict.fromkeys(["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"], other)
        platforms[NPM] = binary
        call(PACKAGE / "npm/build", out, *[f"{platform}={program}" for platform, program in platforms.items()])
        for directory in out.iterdir():
            listed = json.loads(call("npm", "pack", "--json", "--pack-destination", scratch, directory))[0]
            manifest = json.loads((directory / "package.json").read_text())
            check("scripts" not in manifest, f"{directory.name} has scripts")
            names = {file["path"] for file in listed["files"]}
            own = {"open-cursor": {"README.md", "bin/open-cursor.js"}}.get(directory.name, {"bin/open-cursor"})
            check(names == own | {"LICENSE", "package.json"}, f"{directory.name} holds {names}")
            Registry.packages[manifest["name"]] = (manifest, (scratch / listed["filename"]).read_bytes())
    registry = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=registry.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{registry.server_port}/"
    prefix, cache = scratch / "prefix", scratch / "npm-cache"
    env = {"npm_config_registry": address, "npm_config_cache": str(cache), "npm_config_update_notifier": "false"}
    try:
        with step("npm install -g from a registry takes this platform's program alone, and the demo runs"):
            call("npm", "install", "-g", "--prefix", prefix, "--no-audit", "--no-fund", "open-cursor", env=env)
            demonstrate(prefix / "bin/open-cursor", scratch / "npm-home")
            fetched = {path for path in Registry.asked if path.endswith(".tgz")}
            wanted = {"/open-cursor.tgz", f"/@open-cursor/{NPM}.tgz"}
            check(fetched == wanted, f"fetched {fetched}")
        with step("npx open-cursor demo"):
            home = scratch / "npx-home"
            home.mkdir()
            call("npx", "--yes", "open-cursor", "demo", cwd=home, env={**env, "HOME": str(home)})
        with step("the launcher hands on SIGTERM and the exit code"):
            signals(prefix / "bin/open-cursor", scratch)
        with step("without the program, the launcher says what is missing"):
            shutil.rmtree(prefix / "lib/node_modules/open-cursor/node_modules")
            status, _, err = run([str(prefix / "bin/open-cursor"), "demo"], scratch, dict(os.environ), 20)
            check(status == 1, f"it exited {status}")
            check(f"error: the package @open-cursor/{NPM} is not installed\nhint: " in err, err)
        with step("npm uninstall leaves nothing"):
            call("npm", "uninstall", "-g", "--prefix", prefix, "open-cursor", env=env)
            check(not files(prefix), f"left: {files(prefix)}")
    finally:
        registry.shutdown()


def signals(program, scratch):
    status, _, _ = run([str(program), "serve", "--port", "x"], scratch, dict(os.environ), 20)
    check(status == 2, f"a usage error exits {status}, not 2")
    info = scratch / "launched.json"
    argv = [str(program), "serve", "--port", "0", "--agent", "replay", "--server-info", str(info)]
    server = subprocess.Popen(argv, cwd=scratch, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not info.exists():
            check(server.poll() is None, f"the launcher exited {server.returncode}")
            time.sleep(0.05)
        pid = json.loads(info.read_text())["pid"]
        check(pid != server.pid, "the launcher is the server")
        server.send_signal(signal.SIGTERM)
        check(server.wait(20) == 0, f"it exited {server.returncode}")
        check(not pathlib.Path(f"/proc/{pid}").exists(), "the server still runs")
    finally:
        server.kill()


def wheel(binary, scratch):
    profile = ["--release"] if "release" in binary.parts else ["--profile", "dev"]
    out = scratch / "wheel"
    with step("wheel: build by maturin", 900, fatal=True):
        target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
        call(PACKAGE / "wheel", out, *profile, "--compatibility", "linux", seconds=890, CARGO_TARGET_DIR=target)
        (built,) = out.glob("open_cursor-*.whl")
        check(built.name.startswith(f"open_cursor-{VERSION}-py3-none-"), built.name)
    with step("the wheel in a fresh venv runs the demo, and leaves nothing"):
        venv = scratch / "venv"
        call(sys.executable, "-m", "venv", venv)
        before = files(venv)
        pip = [venv / "bin/pip", "--disable-pip-version-check", "--quiet"]
        call(*pip, "install", "--no-index", built)
        demonstrate(venv / "bin/open-cursor", scratch / "wheel-home")
        shown = call(venv / "bin/pip", "--disable-pip-version-check", "show", "open-cursor")
        check("License" in shown and "https://github.com/" in shown, shown)
        call(*pip, "uninstall", "--yes", "open-cursor")
        left = {name for name in files(venv) - before if "__pycache__" not in name}
        check(not left, f"left: {left}")


def deb(binary, scratch):
    out, root = scratch / "deb", scratch / "root"
    with step("Debian package: build by cargo-deb", 120, fatal=True):
        call(PACKAGE / "deb", binary, out)
        (built,) = out.glob("open-cursor_*.deb")
        depends = call("dpkg-deb", "--field", built, "Depends")
        check("libc6 (>= " in depends, f"it depends on {depends!r}")
    # A root of its own, whose record of what is installed is this machine's.
    record = root / "var/lib/dpkg"
    record.mkdir(parents=True)
    shutil.copy("/var/lib/dpkg/status", record)
    (record / "info").mkdir()
    dpkg = ["dpkg", f"--root={root}", "--force-not-root", "--force-script-chrootless", "--no-triggers"]
    dpkg += [f"--log={root}/dpkg.log", "--force-bad-path"]
    with step("dpkg -i, its dependencies being met"):
        call(*dpkg, "-i", built)
        installed = {name for name in files(root) if name.startswith("usr/")}
        wanted = {
            "usr/bin/open-cursor",
            "usr/lib/systemd/user/open-cursor.service",
            "usr/share/bash-completion/completions/open-cursor",
            "usr/share/doc/open-cursor/copyright",
            "usr/share/fish/vendor_completions.d/open-cursor.fish",
            "usr/share/man/man1/open-cursor.1.gz",
            "usr/share/man/man7/open-cursor-settings.7.gz",
            "usr/share/zsh/vendor-completions/_open-cursor",
        }
        check(wanted <= installed, f"missing: {wanted - installed}")
        demonstrate(root / "usr/bin/open-cursor", scratch / "deb-home")
    with step("systemd accepts its user unit"):
        unit = root / "usr/lib/systemd/user/open-cursor.service"
        # The unit names the program where it will be.
        here = scratch / "open-cursor.service"
        here.write_text(unit.read_text().replace('"/usr/bin/', f'"{root}/usr/bin/'))
        env = {**os.environ, "XDG_RUNTIME_DIR": str(scratch)}
        status, out, err = run(["systemd-analyze", "verify", "--user", str(here)], scratch, env, 30)
        check(status == 0 and not (out + err).strip(), f"it exited {status}: {out}{err}")
        here.write_text(here.read_text().replace("[Service]", "[Service]\nRestart=sometimes"))
        _, out, err = run(["systemd-analyze", "verify", "--user", str(here)], scratch, env, 30)
        check("sometimes" in out + err, "a wrong unit is accepted too")
    with step("dpkg --purge leaves nothing"):
        call(*dpkg, "--purge", "open-cursor")
        left = {name for name in files(root) if not name.startswith("var/lib/dpkg/")} - {"dpkg.log"}
        check(not left and not list((record / "info").glob("open-cursor*")), f"left: {left}")


def archive(binary, scratch):
    out = scratch / "archive"
    with step("archive: where cargo binstall looks for it, the same bytes twice, and the demo runs"):
        metadata = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
        binstall, where = metadata["metadata"]["binstall"], {"archive-suffix": ".tar.gz", "binary-ext": ""}
        where |= {"repo": metadata["repository"], "name": "open-cursor", "bin": "open-cursor"}
        where |= {"version": VERSION, "target": TARGET}

        def filled(template):
            return re.sub(r"\{ ([a-z-]+) \}", lambda match: where[match[1]], template)

        path = pathlib.Path(call(PACKAGE / "archive", binary, TARGET, out).strip())
        first = path.read_bytes()
        check(filled(binstall["pkg-url"]).endswith(f"/v{VERSION}/{path.name}"), f"binstall does not find {path.name}")
        call(PACKAGE / "archive", binary, TARGET, out)
        check(path.read_bytes() == first, "the same files made another archive")
        with tarfile.open(path) as tar:
            tar.extractall(scratch / "unpacked", filter="data")
        demonstrate(scratch / "unpacked" / filled(binstall["bin-dir"]), scratch / "archive-home")
    with step("Homebrew formula and PKGBUILD of a release"):
        sums, rendered = scratch / "SHA256SUMS", scratch / "rendered"
        digest = hashlib.sha256(first).hexdigest()
        targets = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-apple-darwin"]
        lines = [f"{digest}  open-cursor-{VERSION}-{target}.tar.gz\n" for target in targets]
        sums.write_text("".join(lines))
        status, _, err = run([str(PACKAGE / "render"), str(sums), str(rendered)], ROOT, dict(os.environ), 20)
        check(status == 1 and "aarch64-apple-darwin" in err, f"a missing archive is not missed: {err}")
        sums.write_text("".join([*lines, lines[0].replace(targets[0], "aarch64-apple-darwin")]))
        call(PACKAGE / "render", sums, rendered)
        call("ruby", "-c", rendered / "open-cursor.rb")
        pkgbuild(rendered, path, scratch)
    with step("the Nix flake can be read"):
        call("nix-instantiate", "--parse", PACKAGE / "flake.nix")


def pkgbuild(rendered, path, scratch):
    """makepkg reads the PKGBUILD, and its package() installs from the archive."""
    # makepkg does not run as root.
    shown = "source PKGBUILD; printf '%s\\n' \"$pkgname\" \"$pkgver\" \"${sha256sums_x86_64[0]}\""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    out = call("bash", "-euc", shown, cwd=rendered).split()
    check(out == ["open-cursor-bin", VERSION, digest], f"PKGBUILD says {out}")
    argv = ["makepkg", "--printsrcinfo"]
    if os.getuid() == 0:
        scratch.chmod(0o755)
        os.chown(rendered, 65534, 65534)
        argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *argv]
    # It looks for pacman, which it does not call for this.
    info = call(*argv, cwd=rendered, HOME="/nonexistent", PACMAN="true")
    check(f"pkgver = {VERSION}" in info and f"sha256sums_x86_64 = {digest}" in info, info)
    destination = scratch / "pkgdir"
    script = f'source "{rendered}/PKGBUILD"; pkgdir="{destination}"; CARCH={CPU[0]}; package'
    call("bash", "-euc", script, cwd=scratch / "unpacked")
    wanted = {"usr/bin/open-cursor", "usr/lib/systemd/user/open-cursor.service", "usr/share/man/man1/open-cursor.1"}
    check(wanted <= files(destination), f"package() made {files(destination)}")


def crate():
    with step("cargo package lists the sources and what cargo adds"):
        listed = set(call("cargo", "package", "--list", "--allow-dirty").split())
        added = {".cargo_vcs_info.json", "Cargo.lock", "Cargo.toml", "Cargo.toml.orig", "LICENSE", "README.md"}
        other = {name for name in listed if not name.startswith("src/")} - added
        check(not other and "src/main.rs" in listed, f"it lists {sorted(other)}")
        sources = set(call("git", "ls-files", "src", "--cached", "--others", "--exclude-standard").split())
        check(sources <= listed, f"it lacks {sorted(sources - listed)}")


def main(binary):
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="open-cursor-e2e-")).resolve()
    try:
        for part in (npm, archive, deb, wheel):
            try:
                part(binary, scratch)
            except harness.Fatal:
                pass
        crate()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if harness.failures:
        sys.exit(f"{len(harness.failures)} failed: " + "; ".join(harness.failures))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
