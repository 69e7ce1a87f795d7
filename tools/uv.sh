#!/bin/sh
# uv.sh FOLDER ARGUMENT...
#
# The uv of the environment FOLDER, with what pip was told of: uv does not read pip's settings, and who reaches packages
# through a mirror or a certificate of their own has told pip already.
set -eu

folder=$1
shift
settings=$("$folder/bin/python" -m pip config list 2>/dev/null || true)
pip_says() { printf '%s\n' "$settings" | sed -n "s/^[a-z:]*\.$1='\(.*\)'\$/\1/p" | tail -n 1; }
index=$(pip_says index-url)
certificate=$(pip_says cert)
[ -z "$index" ] || [ -n "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ] || export UV_DEFAULT_INDEX="$index"
[ -z "$certificate" ] || [ -n "${SSL_CERT_FILE:-}" ] || export SSL_CERT_FILE="$certificate"
exec "$folder/bin/uv" "$@"
