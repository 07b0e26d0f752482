#!/usr/bin/env bash
# Makes the images that run on the node, as archives in the folder that is named:
#   images.sh FOLDER CONTROLPLANE [former]
# equipoise.tar by deploy/Dockerfile, kube-scheduler.tar from the binary in CONTROLPLANE, and
# busybox.tar for sandboxes and tests. An archive whose sources are unchanged is left alone.
# With "former" also former.tar and former-chart, with which an upgrade begins.
# Environment: BASE, another base image for ours; by default one is made of Debian's packages, so
# that no registry is needed. MIRROR, where debootstrap finds these.
set -euo pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
controlplane=$(cd "$2" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

SUITE=bookworm

for tool in buildah debootstrap busybox; do
  command -v "$tool" >/dev/null || {
    echo "$tool is missing; on Debian: make node-packages" >&2
    exit 2
  }
done

# A store of our own: nothing is left in the machine's.
export CONTAINERS_STORAGE_CONF=$folder/storage.conf
cat >"$CONTAINERS_STORAGE_CONF" <<CONF
[storage]
driver = "overlay"
graphroot = "$folder/store"
runroot = "$folder/store-run"
CONF

unchanged() { # ARCHIVE KEY
  [[ -f $folder/$1 && -f $folder/$1.key && $(<"$folder/$1.key") == "$2" ]]
}

push() { # IMAGE ARCHIVE KEY
  rm -f "$folder/$2" "$folder/$2.key"
  buildah push --quiet "$1" "oci-archive:$folder/$2:$1"
  echo "$3" >"$folder/$2.key"
}

mirror() {
  echo "${MIRROR:-$(apt-get indextargets --format '$(ORIGIN) $(SITE)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $2 !~ /security/ { print $2; exit }')}"
}

base() {
  local name=localhost/equipoise-base:$SUITE root container
  if ! buildah inspect --type image "$name" >/dev/null 2>&1; then
    echo "Making a base image of Debian's packages (a minute)" >&2
    root=$(mktemp -d "$folder/base.XXXXXX")
    debootstrap --variant=minbase --include=python3-venv,ca-certificates \
      "$SUITE" "$root" "$(mirror)" >"$folder/debootstrap.log" ||
      { echo "debootstrap failed; see $folder/debootstrap.log" >&2; exit 2; }
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    container=$(buildah from scratch)
    buildah copy --quiet "$container" "$root" / >/dev/null
    buildah commit --quiet --rm "$container" "$name" >/dev/null
    rm -rf "$root"
  fi
  echo "$name"
}

equipoise() {
  local key from
  key=$(cat deploy/Dockerfile hack/node/images.sh pyproject.toml requirements.lock hack/image/* \
    <(find scheduler -type f ! -name '*.pyc' -print0 | sort -z | xargs -0 cat) \
    <(echo "${BASE:-}") | sha256sum)
  unchanged equipoise.tar "$key" && return
  from=${BASE:-$(base)}
  BASE=$from BUILDER=buildah ISOLATION=chroot hack/image/build.sh localhost/equipoise:dev
  push localhost/equipoise:dev equipoise.tar "$key"
}

# The newest release before this commit, or as long as there is none with a chart, the commit before.
before() {
  local each
  [[ -z $(git rev-parse --show-prefix) ]] || return 1 # this lies inside of somebody else's
  for each in "$(git describe --tags --match 'v[0-9]*' --abbrev=0 'HEAD^' 2>/dev/null)" 'HEAD^'; do
    if [[ -n $each ]] && git cat-file -e "$each:charts/equipoise/Chart.yaml" 2>/dev/null; then
      git rev-parse "$each^{commit}"
      return
    fi
  done
  return 1
}

former() {
  local before key sources from
  rm -rf "$folder"/former.??????
  before=$(before) || {
    echo "git knows no earlier commit here (a shallow clone?), so no upgrade can be tried" >&2
    rm -rf "$folder"/former*
    return
  }
  key=$({ git rev-parse "$before":{deploy,hack/image,pyproject.toml,requirements.lock,scheduler,charts} &&
    cat hack/node/images.sh && echo "${BASE:-}"; } | sha256sum)
  [[ -f $folder/former-chart/Chart.yaml ]] && unchanged former.tar "$key" && return
  from=${BASE:-$(base)}
  sources=$(mktemp -d "$folder/former.XXXXXX")
  # With the modes of a checkout, so that layers of the one are found again for the other.
  git -c tar.umask=0022 archive "$before" | tar -x -C "$sources"
  BASE=$from BUILDER=buildah ISOLATION=chroot "$sources"/hack/image/build.sh localhost/equipoise:former
  push localhost/equipoise:former former.tar "$key"
  rm -rf "$folder/former-chart"
  mv "$sources/charts/equipoise" "$folder/former-chart"
  rm -rf "$sources"
}

commit() { # NAME ROOT COMMAND: an image of one folder
  local container
  echo "Making the image $1"
  container=$(buildah from scratch)
  buildah copy --quiet "$container" "$2" / >/dev/null
  buildah config --env PATH=/usr/local/bin:/bin --cmd "$3" "$container"
  buildah commit --quiet --rm "$container" "$1" >/dev/null
  rm -rf "$2"
}

# By the name of the published one, so that who installs the chart here names no other.
kube_scheduler() {
  local key name root
  name=registry.k8s.io/kube-scheduler:$(awk '$1 == "k8s.io/kubernetes" { print $2 }' hack/node/go.mod)
  key=$(cat "$controlplane/kube-scheduler" hack/node/images.sh | sha256sum)
  unchanged kube-scheduler.tar "$key" && return
  root=$(mktemp -d "$folder/image.XXXXXX")
  install -D "$controlplane/kube-scheduler" "$root/usr/local/bin/kube-scheduler"
  commit "$name" "$root" kube-scheduler
  push "$name" kube-scheduler.tar "$key"
}

# Its command only waits: it is what holds a pod's namespaces, too.
busybox_image() {
  local key name=localhost/busybox:dev root applet
  key=$(cat "$(command -v busybox)" hack/node/images.sh | sha256sum)
  unchanged busybox.tar "$key" && return
  root=$(mktemp -d "$folder/image.XXXXXX")
  install -D "$(command -v busybox)" "$root/bin/busybox"
  for applet in $(busybox --list); do
    [[ -e $root/bin/$applet ]] || ln -s busybox "$root/bin/$applet"
  done
  commit "$name" "$root" "sleep 2147483647"
  push "$name" busybox.tar "$key"
}

kube_scheduler
busybox_image
equipoise
[[ ${3:-} != former ]] || former
