#!/bin/sh
# The first argument names the service, the others are its flags. exec: signals must reach the service itself.
set -eu
service=${1:?"which service? gateway, tokenizer, router, scheduler, detokenizer or executor"}
shift
exec python -m "xylem.services.$service" "$@"
