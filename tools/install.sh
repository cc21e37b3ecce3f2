#!/bin/sh
# Install into .venv: with uv where it is, else with pip. Files of requirements must carry hashes.
# Compiled here: half of a start is compiling, where Python may not keep what it compiled.
set -eu
case " $* " in *" -r "*) set -- --require-hashes "$@" ;; esac
if [ -x .venv/bin/uv ]; then
    exec .venv/bin/uv pip install --quiet --compile-bytecode --python .venv/bin/python "$@"
fi
exec .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"
