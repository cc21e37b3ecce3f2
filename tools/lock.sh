#!/bin/sh
# Rewrite requirements/*.txt from pyproject.toml. They hold hashes, and no registry's address.
set -eu
uv=${UV:-.venv/bin/uv}
lock() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade "$@"
}
lock pyproject.toml -o requirements/run.txt
lock pyproject.toml --group test -c requirements/run.txt -o requirements/test.txt
lock --group build -c requirements/test.txt -o requirements/build.txt
lock --group node -c requirements/test.txt -o requirements/node.txt
lock --group uv -o requirements/uv.txt
