"""Volumes from the API: where the bound volumes of a pod can be used."""

from collections.abc import Callable, Iterable

from scheduler.core.model.constraintreader import Groups, read_volume
from scheduler.core.model.stored import Stored, mapping, objects
from scheduler.kube.client import JSON
from scheduler.kube.shelf import Shelf, key_of


class VolumeBook:
    """Sinks of PersistentVolumeClaims (`claims`) and of PersistentVolumes (`volumes`).

    `moved` is told each namespace in which the answer for some pod may be another from now on.
    """

    def __init__(self, moved: Callable[[str], None]) -> None:
        self._moved = moved
        self.claims: Shelf[str] = Shelf(_bound_to, self._claim_changed, key=key_of)
        self.volumes: Shelf[tuple[Groups, str]] = Shelf(_volume, self._volume_changed)
        self._namespace_of: dict[str, str] = {}

    def terms_of(self, pod: Stored) -> Groups | None:
        """Return what the pod's volumes ask of a node; None if one of them is unbound or unknown.

        Groups as in `Constraints.terms`: all must hold, any term of a group will do.
        """
        namespace = str(mapping(pod, "metadata").get("namespace"))
        groups: Groups = ()
        for claim in _claims(pod):
            volume = self.volumes.kept.get(self.claims.kept.get(f"{namespace}/{claim}", ""))
            if volume is None:
                return None
            groups += volume[0]
        return groups

    def _claim_changed(self, key: str) -> None:
        self._moved(key.partition("/")[0])

    def _volume_changed(self, name: str) -> None:
        kept = self.volumes.kept.get(name)
        namespace = kept[1] if kept is not None else self._namespace_of.pop(name, "")
        if namespace:
            self._namespace_of[name] = namespace
            self._moved(namespace)


def _claims(pod: Stored) -> Iterable[str]:
    """Names of the claims that a pod uses; a generic ephemeral volume's is made for the pod."""
    for volume in objects(mapping(pod, "spec"), "volumes"):
        if "persistentVolumeClaim" in volume:
            yield str(mapping(volume, "persistentVolumeClaim").get("claimName"))
        elif "ephemeral" in volume:
            yield f"{mapping(pod, 'metadata').get('name')}-{volume.get('name')}"


def _bound_to(claim: JSON) -> str | None:
    """Name of the volume that the claim is bound to for good."""
    bound = mapping(claim, "status").get("phase") == "Bound"
    return str(mapping(claim, "spec").get("volumeName") or "") or None if bound else None


def _volume(volume: JSON) -> tuple[Groups, str]:
    """What the volume asks of a node, and the namespace of its claim."""
    claim = mapping(mapping(volume, "spec"), "claimRef")
    return read_volume(volume), str(claim.get("namespace") or "")
