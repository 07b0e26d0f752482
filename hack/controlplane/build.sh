#!/usr/bin/env bash
# Builds the binaries of a control plane from Go modules into the folder that is named:
#   build.sh FOLDER
# What go.mod and this file say is what is built; a folder that has it already is left alone.
# One after another: linking the API server alone takes 2.3 GB.
set -euo pipefail
mkdir -p "$1"
bin=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"

KWOK=v0.8.0
KUBERNETES=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' go.mod)
version=k8s.io/component-base/version
minor=${KUBERNETES#v1.}
export CGO_ENABLED=0

command -v go >/dev/null || {
  echo "go is missing; install Go 1.26 or newer (https://go.dev/dl)" >&2
  exit 2
}
wanted=$(cat go.mod go.sum build.sh | sha256sum)
[[ -f $bin/built && $(<"$bin/built") == "$wanted" ]] && exit 0

build() {
  echo "Building $1 (the first time takes minutes, all of them about ten)"
  go build -trimpath -o "$bin/$1" -ldflags "-s -w -X $version.gitVersion=$KUBERNETES \
    -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}" "$2"
}

for name in kube-apiserver kube-scheduler kube-controller-manager kubectl; do
  build "$name" "k8s.io/kubernetes/cmd/$name"
done
build etcd go.etcd.io/etcd/server/v3
echo "Building kwok"
# A module of its own: it needs other versions of the same libraries.
(cd / && GOBIN=$bin go install -trimpath -ldflags "-s -w" "sigs.k8s.io/kwok/cmd/kwok@$KWOK")
kwok=$(cd / && go mod download -json "sigs.k8s.io/kwok@$KWOK" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
mkdir -p "$bin/stages"
for stage in "$kwok"/kustomize/stage/{node/fast,node/heartbeat-with-lease,pod/fast}/*.yaml; do
  case ${stage##*/} in kustomization.yaml) ;; *) install -m 644 "$stage" "$bin/stages/" ;; esac
done
echo "$wanted" >"$bin/built"
