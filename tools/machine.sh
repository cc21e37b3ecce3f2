#!/bin/sh
# See to it that this machine has what the tests ask of it: a Chromium (the machine's, Debian's, or
# Playwright's), and what counts system calls, makes disks and compiles faults. Where these others
# are not to be had, the tests that need them are skipped and say so.
set -eu

has() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }

wanted=''
has chromium || has chromium-browser || wanted="$wanted chromium"
has strace || wanted="$wanted strace"
has mkfs.xfs || wanted="$wanted xfsprogs"
has mkfs.ext4 || wanted="$wanted e2fsprogs"
has cc || wanted="$wanted gcc libc6-dev"

if [ "$wanted" ] && [ "$(id -u)" = 0 ] && has apt-get; then
    echo "Installing for the tests, from Debian:$wanted."
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || true
    for each in $wanted; do
        apt-get install -y -qq --no-install-recommends "$each" >/dev/null || echo "Debian does not give $each."
    done
fi
has chromium || has chromium-browser && exit 0
echo 'Installing a browser for the tests: chromium, by Playwright.'
exec .venv/bin/playwright install chromium
