#!/bin/sh
# The command line in its image. MESH_API_KEY_FILE names a mounted file with the key, so that no
# secret stands in a pod's specification.
if [ -n "${MESH_API_KEY_FILE:-}" ] && [ -z "${MESH_API_KEY:-}" ]; then
  MESH_API_KEY=$(cat "$MESH_API_KEY_FILE") || exit 64
  export MESH_API_KEY
fi
exec node /app/main.mjs "$@"
