#!/usr/bin/env bash
# Makes a cluster in kind with Equipoise on mocked GPUs, Prometheus, Grafana and the samples:
#   up.sh
# May be run again: a cluster that is there is kept, and gets the newest image and chart.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

NAME=$(awk '$1 == "name:" { print $2; exit }' kind-config.yaml)

need() {
  command -v "$1" >/dev/null || {
    echo "$1 is missing; install it: $2" >&2
    exit 2
  }
}

need docker https://docs.docker.com/engine/install
need kind https://kind.sigs.k8s.io/docs/user/quick-start
need kubectl https://kubernetes.io/docs/tasks/tools
need helm https://helm.sh/docs/intro/install
docker info >/dev/null 2>&1 || {
  echo "docker doesn't answer; start it, and see that you may use it: docker info" >&2
  exit 2
}

# Never into a cluster that happens to be the current one.
kubectl_kind() { kubectl --context "kind-$NAME" "$@"; }

if ! kind get clusters 2>/dev/null | grep -qx "$NAME"; then
  kind create cluster --config kind-config.yaml --wait 2m
fi

BUILDER=docker hack/image/build.sh equipoise:kind
# A tag by content: pods take a new image because it has a new name, and an old one isn't loaded twice.
digest=$(docker image inspect --format '{{.Id}}' equipoise:kind)
tag=${digest#sha256:}
tag=kind-${tag:0:12}
docker tag equipoise:kind "equipoise:$tag"
kind load docker-image "equipoise:$tag" --name "$NAME"

helm upgrade --install equipoise charts/equipoise --kube-context "kind-$NAME" \
  --namespace equipoise-system --create-namespace --values hack/kind/values.yaml \
  --set image.repository=equipoise --set "image.tag=$tag" --wait --timeout 5m
kubectl_kind apply --kustomize deploy/monitoring
for each in prometheus grafana; do
  kubectl_kind --namespace monitoring rollout status "deployment/$each" --timeout 5m
done
kubectl_kind apply --kustomize deploy/samples

cat <<END

  status page   http://localhost:30880
  Prometheus    http://localhost:30090
  Grafana       http://localhost:30300

  kubectl --context kind-$NAME get tenants
  docs/tutorial-kind.md goes on from here; make kind-delete takes it all away.
END
