#!/usr/bin/env bash
# Builds what the chart is checked with from Go modules into the folder that is named:
#   tools.sh FOLDER
# A folder that has what this file says is left alone.
set -euo pipefail
mkdir -p "$1"
bin=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"

HELM=v4.3.1

command -v go >/dev/null || {
  echo "go is missing; install Go 1.26 or newer (https://go.dev/dl)" >&2
  exit 2
}
wanted=$(sha256sum <tools.sh)
[[ -f $bin/chart-tools && $(<"$bin/chart-tools") == "$wanted" ]] && exit 0

install() {
  echo "Building $1 (the first time takes minutes)"
  (cd / && CGO_ENABLED=0 GOBIN=$bin go install -trimpath -ldflags "-s -w${3:+ $3}" "$2")
}

install helm "helm.sh/helm/v4/cmd/helm@$HELM" "-X helm.sh/helm/v4/internal/version.version=$HELM"
echo "$wanted" >"$bin/chart-tools"
