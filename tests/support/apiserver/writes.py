"""What each verb does to a stored object, with the rules that tests rely on."""

import copy
from typing import Any

from tests.support.apiserver import patches, refusals
from tests.support.apiserver.refusals import Refused
from tests.support.apiserver.store import Key, Store, now

JSON = dict[str, Any]

PODS = "/api/v1/pods"
BUDGETS = "/apis/policy/v1/poddisruptionbudgets"
CUSTOM = "/apis/equipoise.dev/"

_KINDS = {
    "application/merge-patch+json": patches.merge,
    "application/strategic-merge-patch+json": patches.strategic,
    "application/json-patch+json": patches.json_patch,
}


class Writes:
    """Writes as the API server carries them out; a plain answer or Refused."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._applied: dict[tuple[Key, str], JSON] = {}
        self._names = 0

    def create(self, key: Key, item: JSON) -> JSON:
        """POST to a list; `key` has no name, or that of the object."""
        about = item.get("metadata") or {}
        name = about.get("name")
        if not name and about.get("generateName"):
            self._names += 1
            name = f"{about['generateName']}{self._names:05d}"
        if not name:
            raise refusals.invalid(
                str(item.get("kind")), "", "metadata.name: Required value: name or generateName"
            )
        new = {**item, "metadata": {k: v for k, v in about.items() if k != "uid"}}
        if key.collection == PODS:
            new["status"] = {"phase": "Pending"}
        elif key.collection.startswith(CUSTOM):
            new.pop("status", None)
        return self._store.create(Key(key.collection, key.namespace, str(name)), new)

    def replace(self, key: Key, item: JSON, sub: str) -> JSON:
        """PUT."""
        old, about = self._store.get(key), item.get("metadata") or {}
        if about.get("uid") not in {None, old["metadata"]["uid"]}:
            raise _unmet(key, "UID", (about["uid"], old["metadata"]["uid"]))
        return self._update(key, item, sub)

    def patch(self, key: Key, body: Any, kind: str, sub: str) -> JSON:
        """PATCH of any kind but apply."""
        old = self._store.get(key)
        if kind not in _KINDS or (
            key.collection.startswith(CUSTOM) and _KINDS[kind] is patches.strategic
        ):
            raise Refused(
                415,
                "UnsupportedMediaType",
                f"the body of the request was in an unknown format: {kind}",
            )
        new = _KINDS[kind](old, body)
        if new["metadata"].get("uid") != old["metadata"]["uid"]:
            why = f'metadata.uid: Invalid value: "{new["metadata"].get("uid")}": field is immutable'
            raise refusals.invalid(str(old.get("kind") or "Pod"), key.name, why)
        return self._update(key, new, sub)

    def apply(self, key: Key, body: JSON, params: dict[str, str], sub: str) -> JSON:
        """PATCH by server-side apply: what a manager leaves out is left as it is."""
        manager = params.get("fieldManager")
        if not manager:
            why = "fieldManager: Required value: is required for apply patch"
            raise refusals.invalid("PatchOptions.meta.k8s.io", "", why)
        fields = {k: v for k, v in body.items() if k not in {"apiVersion", "kind", "metadata"}}
        for (other, who), theirs in self._applied.items():
            found = patches.collisions(fields, theirs) if (other, who) != (key, manager) else []
            if other == key and found and params.get("force") != "true":
                text = f'Apply failed with 1 conflict: conflict with "{who}": {found[0]}'
                raise Refused(409, "Conflict", text)
        self._applied[key, manager] = fields
        if key not in self._store.objects and not sub:
            return self.create(key, body)
        return self._update(key, patches.strategic(self._store.get(key), body), sub)

    def delete(self, key: Key, options: JSON) -> JSON:
        """DELETE: at once, but a pod that runs on a node waits for its kubelet."""
        old = self._store.get(key)
        about, wanted = old["metadata"], options.get("preconditions") or {}
        for what, field in (("UID", "uid"), ("ResourceVersion", "resourceVersion")):
            if wanted.get(field) not in {None, about[field]}:
                kind = str(old.get("kind") or "Pod")
                raise refusals.deletion(kind, key.name, what, (wanted[field], about[field]))
        if not (_runs(key, old) and options.get("gracePeriodSeconds", 30)):
            return self._store.remove(key)
        if "deletionTimestamp" in about:
            return old
        new = copy.deepcopy(old)
        new["metadata"] |= {
            "deletionTimestamp": now(),
            "deletionGracePeriodSeconds": options.get("gracePeriodSeconds", 30),
        }
        return self._store.update(key, new)

    def bind(self, key: Key, binding: JSON) -> None:
        """POST to pods/binding: node, annotations and labels in one write."""
        about, node = binding.get("metadata") or {}, (binding.get("target") or {}).get("name")
        if about.get("name") != key.name:
            raise refusals.bad_request("name in URL does not match name in Binding object")
        if not node:
            raise Refused(500, "", "target.name: Required value")
        pod = copy.deepcopy(self._store.get(key))
        for what, field in (("UID", "uid"), ("ResourceVersion", "resourceVersion")):
            if about.get(field) not in {None, "", pod["metadata"][field]}:
                raise _unmet(key, what, (about[field], pod["metadata"][field]))
        if why := _unbindable(pod):
            raise refusals.conflict("pods/binding", key.name, f"pod {key.name} {why}")
        pod["spec"]["nodeName"] = node
        for field in ("annotations", "labels"):
            if about.get(field):
                pod["metadata"][field] = {**pod["metadata"].get(field, {}), **about[field]}
        self._store.update(key, pod)

    def evict(self, key: Key, eviction: JSON) -> None:
        """POST to pods/eviction. A real server repeats a UID conflict of a pending pod for 10 s."""
        pod = self._store.get(key)
        pending = pod.get("status", {}).get("phase") in {None, "Pending", "Succeeded", "Failed"}
        if not pending and "deletionTimestamp" not in pod["metadata"]:
            self._spend_budget(pod)
        self.delete(key, eviction.get("deleteOptions") or {})

    def _spend_budget(self, pod: JSON) -> None:
        for budget in list(self._store.items(BUDGETS, pod["metadata"]["namespace"])):
            labels = pod["metadata"].get("labels") or {}
            wanted = ((budget.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
            if wanted.items() <= labels.items():
                self._spend(budget)

    def _spend(self, budget: JSON) -> None:
        about, left = budget["metadata"], budget["status"]["disruptionsAllowed"]
        if left <= 0:
            message = (
                f"The disruption budget {about['name']} does not allow evicting pods currently"
            )
            raise Refused(
                429,
                "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
                causes=[{"reason": "DisruptionBudget", "message": message}],
            )
        status = {**budget["status"], "disruptionsAllowed": left - 1}
        self._store.update(
            Key(BUDGETS, about["namespace"], about["name"]), {**budget, "status": status}
        )

    def _update(self, key: Key, item: JSON, sub: str) -> JSON:
        old = self._store.get(key)
        version = item["metadata"].get("resourceVersion")
        if version not in {None, old["metadata"]["resourceVersion"]}:
            raise refusals.modified(key.plural, key.name)
        custom = key.collection.startswith(CUSTOM)
        if sub == "status":
            # Labels and annotations pass through pods/status too, but not through a custom one.
            metadata = old["metadata"] if custom else item["metadata"]
            new = {**old, "metadata": metadata, "status": item.get("status")}
        else:
            new = {**item, "status": old["status"]} if "status" in old else item
            _check_gates(key, old, new)
        return self._store.update(key, new)


def _unmet(key: Key, what: str, pair: tuple[str, str]) -> Refused:
    at = f"/registry/{key.plural}/{key.namespace}/{key.name}"
    return refusals.precondition(key.plural, at, key.name, what, pair)


def _unbindable(pod: JSON) -> str:
    if "deletionTimestamp" in pod["metadata"]:
        return "is being deleted, cannot be assigned to a host"
    if pod["spec"].get("nodeName"):
        return f'is already assigned to node "{pod["spec"]["nodeName"]}"'
    return "has non-empty .spec.schedulingGates" if pod["spec"].get("schedulingGates") else ""


def _runs(key: Key, item: JSON) -> bool:
    if key.collection != PODS or not (item.get("spec") or {}).get("nodeName"):
        return False
    return (item.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}


def _check_gates(key: Key, old: JSON, new: JSON) -> None:
    if key.collection != PODS:
        return
    before = [gate["name"] for gate in old["spec"].get("schedulingGates") or []]
    for index, gate in enumerate(new["spec"].get("schedulingGates") or []):
        if gate["name"] not in before:
            why = (
                f"spec.schedulingGates[{index}].name: Forbidden: only deletion is allowed, "
                f"but found new scheduling gate '{gate['name']}'"
            )
            raise refusals.invalid("Pod", key.name, why)
