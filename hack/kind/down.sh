#!/usr/bin/env bash
# Takes the cluster of up.sh away, with everything in it:
#   down.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

command -v kind >/dev/null || {
  echo "kind is missing; install it: https://kind.sigs.k8s.io/docs/user/quick-start" >&2
  exit 2
}
kind delete cluster --name "$(awk '$1 == "name:" { print $2; exit }' kind-config.yaml)"
