#!/usr/bin/env bash
# Builds what one real node consists of, and helm, into the folder that is named:
#   build.sh FOLDER
# What go.mod and this file say is what is built; a folder that has it already is left alone.
# One after another: linking the kubelet takes 2 GB.
set -euo pipefail
mkdir -p "$1"
bin=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"

CONTAINERD=v2.4.2
COREDNS=v1.15.0
# The helm that the chart is tested with.
HELM=$(sed -n 's/^HELM=//p' ../chart/tools.sh)
kubernetes() { awk '$1 == "k8s.io/kubernetes" { print $2 }' "$1"; }
KUBERNETES=$(kubernetes go.mod)
version=k8s.io/component-base/version
minor=${KUBERNETES#v1.}
export CGO_ENABLED=0

command -v go >/dev/null || {
  echo "go is missing; install Go 1.26 or newer (https://go.dev/dl)" >&2
  exit 2
}
[[ $KUBERNETES == "$(kubernetes ../controlplane/go.mod)" ]] || {
  echo "hack/node/go.mod and hack/controlplane/go.mod name two versions of Kubernetes; name one" >&2
  exit 2
}
wanted=$(cat go.mod go.sum build.sh ../chart/tools.sh | sha256sum)
[[ -f $bin/built && $(<"$bin/built") == "$wanted" ]] && exit 0

for name in kubelet kube-proxy; do
  echo "Building $name (the first time all of this takes about ten minutes)"
  go build -trimpath -o "$bin/$name" -ldflags "-s -w -X $version.gitVersion=$KUBERNETES \
    -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}" "k8s.io/kubernetes/cmd/$name"
done

# Modules of their own: they need other versions of the same libraries.
install() {
  echo "Building ${1##*/}"
  (cd / && GOBIN=$bin go install -trimpath -ldflags "-s -w" "${@:3}" "$1@$2")
}
for name in containerd containerd-shim-runc-v2 ctr; do
  install "github.com/containerd/containerd/v2/cmd/$name" "$CONTAINERD" -tags no_btrfs
done
install github.com/coredns/coredns "$COREDNS"
install helm.sh/helm/v4/cmd/helm "$HELM"
echo "$wanted" >"$bin/built"
