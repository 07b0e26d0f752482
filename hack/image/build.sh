#!/usr/bin/env bash
# Builds the image from deploy/Dockerfile with docker, podman or buildah, whichever works here:
#   build.sh NAME[:TAG]
# Environment:
#   BUILDER   docker, podman or buildah, to choose one
#   BASE      another base image with Python 3.11 or newer, its venv and pip
#   ISOLATION of podman and buildah: chroot where there are no user namespaces or cgroups
#
# pip in the build goes where pip on this machine goes: its index, proxy, trust and certificates,
# from configuration and environment, are handed in as secrets, which no layer keeps. The build uses
# the network of the host, so that an index on a private address is reached as well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

[[ $# -eq 1 && $1 != -* ]] || {
  echo "say how the image is to be called: hack/image/build.sh NAME[:TAG]" >&2
  exit 2
}

works() {
  case $1 in
    docker) docker info ;;
    podman) podman info ;;
    buildah) buildah info ;;
    *) false ;;
  esac >/dev/null 2>&1
}

builder=${BUILDER:-}
if [[ -z $builder ]]; then
  for each in docker podman buildah; do
    if works "$each"; then
      builder=$each
      break
    fi
  done
fi
[[ -n $builder ]] && works "$builder" || {
  echo "no builder of images works here; start docker, or install podman or buildah" >&2
  exit 2
}

secrets=$(mktemp -d)
trap 'rm -rf "$secrets"' EXIT

# What pip is told here, as lines such as: global.index-url='https://…'
told=$(python3 -m pip config list 2>/dev/null || true)

option() {
  sed -nE "s/^[^=]*\.(default-)?$1='(.*)'\$/\2/p" <<<"$told" | head -n 1
}

# Those that are good in another file system too.
pip_conf() {
  local name value
  echo "[global]"
  for name in index-url extra-index-url trusted-host proxy timeout retries; do
    value=$(option "$name")
    [[ -z $value ]] || echo "$name = $value"
  done
  [[ ! -f $secrets/ca.crt ]] || echo "cert = /run/secrets/ca.crt"
}

arguments=(--file deploy/Dockerfile --tag "$1" --network host)
ca=$(option cert)
ca=${ca:-${REQUESTS_CA_BUNDLE:-${SSL_CERT_FILE:-}}}
if [[ -f $ca ]]; then
  cp "$ca" "$secrets/ca.crt"
  arguments+=(--secret "id=ca.crt,src=$secrets/ca.crt")
fi
pip_conf >"$secrets/pip.conf"
arguments+=(--secret "id=pip.conf,src=$secrets/pip.conf")

version=$(sed -nE 's/^version = "(.*)"/\1/p' pyproject.toml)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
arguments+=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision")
[[ -z ${BASE:-} ]] || arguments+=(--build-arg "BASE=$BASE")

echo "Building $1 with $builder"
case $builder in
  docker) DOCKER_BUILDKIT=1 docker build "${arguments[@]}" . ;;
  *) "$builder" build ${ISOLATION:+--isolation "$ISOLATION"} --layers "${arguments[@]}" . ;;
esac
