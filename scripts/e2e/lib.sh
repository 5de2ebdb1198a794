# Sourced by the end-to-end scripts: strict mode, the cache, the binary under test.
# shellcheck shell=bash
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# Clients are installed here once, never into the repository.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/open-cursor-e2e
mkdir -p "$CACHE"

export PYTHONDONTWRITEBYTECODE=1

# The binary under test: OPEN_CURSOR if set, else the release build.
if [ -z "${OPEN_CURSOR:-}" ]; then
    (cd "$ROOT" && cargo build --release --locked)
    OPEN_CURSOR=${CARGO_TARGET_DIR:-$ROOT/target}/release/open-cursor
fi

# need PROGRAM...: says what is missing, instead of failing somewhere inside.
need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || { echo "$0: needs $program on PATH" >&2; exit 1; }
    done
}

# install_once DIR COMMAND: COMMAND fills DIR, unless an earlier run has. A broken install is redone.
install_once() {
    local directory=$1 command=$2
    [ -e "$directory/.complete" ] && return
    rm -rf "$directory"
    mkdir -p "$directory"
    "$command" "$directory"
    touch "$directory/.complete"
}

# debian PROGRAM:PACKAGE...: installs the packages whose programs are missing.
debian() {
    local missing=() pair
    for pair in "$@"; do
        PATH=$PATH:/usr/sbin command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        echo "$0: install ${missing[*]}" >&2
        exit 1
    fi
}
