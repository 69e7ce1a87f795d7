#!/bin/sh
# environment.sh FOLDER [LOCK [project]]
#
# Make or mend the virtual environment FOLDER: a Python with uv in it, then every package of LOCK with its hash checked,
# then, with "project", this project itself (editable). Called by the Makefile, from the root of the repository.
#
# FOLDER/.stamp is taken away before anything is touched and written when all is done. An environment without it, or with
# the stamp of another place (a folder that was moved has commands that no longer start), is made anew, so an interrupted
# set-up heals by running it again; uv's cache keeps what was downloaded.
set -eu

folder=$1 lock=${2:-} project=${3:-}
root=$(pwd)
stamp=$folder/.stamp
begin=$(date +%s)

# On stderr: stdout belongs to the command that the set-up is for.
say() { printf '%s\n' "$*" >&2; }

find_python() {
    usable='import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
    tried=
    set -- python3 python3.13 python3.12 python3.11 python
    [ -z "${PYTHON:-}" ] || set -- "$PYTHON"
    for name in "$@"; do
        found=$(command -v "$name" 2>/dev/null || true)
        # Not the one that is about to be replaced, in case it is the active one.
        case $found in "$root/$folder"/*) continue ;; esac
        # A version manager's shim may be there and not run: only running it tells.
        if [ -n "$found" ] && "$found" -c "$usable" >/dev/null 2>&1; then
            python=$found
            return
        fi
        [ -z "$found" ] || tried="${tried:+$tried, }$name ($(describe "$found"))"
    done
    say "No usable Python."
    say "  rule: Python 3.11, 3.12 or 3.13 with the modules venv and ensurepip"
    say "  tried: ${tried:-$*; none is there}"
    say "  what to do: install one (on Debian and Ubuntu: python3 and python3-venv), or name it: make PYTHON=/path/to/python3.12 ..."
    exit 2
}

describe() {
    version=$("$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || { echo "does not run"; return; }
    "$1" -c 'import venv, ensurepip' >/dev/null 2>&1 || version="$version without venv or ensurepip"
    echo "$version"
}

finished() {
    code=$?
    [ "$code" -eq 0 ] || say "The set-up of $folder did not finish. Run the same command again: what was downloaded is kept."
    exit "$code"
}

if [ -x "$folder/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$root" ]; then
    say "Updating $folder."
else
    find_python
    say "Setting up $folder with $("$python" -V), once.${lock:+ About 1 GB to download, 3 GB on disk, 1 to 5 minutes.}"
    trap finished EXIT
    rm -f "$stamp"
    "$python" -m venv --clear "$folder"
fi
trap finished EXIT
[ -z "$lock" ] || rm -f "$stamp"

say "  - the installer, uv"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    -r requirements-uv.lock
[ -n "$lock" ] || exit 0

say "  - $(grep -c '==' "$lock") packages of $lock, hashes checked"
# Bars for those who watch; elsewhere uv would list every package on a line.
quiet=--quiet
[ ! -t 2 ] || quiet=
# The lock also binds what the few packages without a wheel are built with. Bytecode now, or every start compiles again.
# shellcheck disable=SC2086
tools/uv.sh "$folder" pip install $quiet --python "$folder/bin/python" --require-hashes --build-constraints "$lock" \
    --compile-bytecode -r "$lock"

if [ -n "$project" ]; then
    say "  - the project itself"
    "$folder/bin/uv" pip install --quiet --python "$folder/bin/python" --no-deps --no-build-isolation --editable .
fi

printf '%s' "$root" >"$stamp.new"
mv "$stamp.new" "$stamp"
say "Ready after $(($(date +%s) - begin)) s."
