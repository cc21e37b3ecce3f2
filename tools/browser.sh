#!/bin/sh
# See to it that there is a Chromium for the browser tests: the machine's, Debian's, or Playwright's.
set -eu
command -v chromium >/dev/null || command -v chromium-browser >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo 'Installing a browser for the tests: chromium, from Debian.'
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0
    echo 'Debian does not give one.'
fi
echo 'Installing a browser for the tests: chromium, by Playwright.'
exec .venv/bin/playwright install chromium
