#!/bin/sh
# step.sh NAME COMMAND…: say what is done, do it, and say how long it took. Tests say that themselves.
name=$1
shift
echo "==> $name"
began=$(date +%s)
"$@"
code=$?
case "$name" in Tests*) ;; *) echo "    $name: $(($(date +%s) - began)) s" ;; esac
[ $code -eq 0 ] || echo "    $name failed."
exit $code
