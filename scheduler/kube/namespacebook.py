"""Which tenant a namespace belongs to: a label that only admins set."""

from collections.abc import Callable, Sequence

from scheduler.core.model import names
from scheduler.core.model.ids import TenantName
from scheduler.core.model.stored import mapping
from scheduler.kube.client import JSON
from scheduler.kube.shelf import Shelf

DEFAULT = TenantName(names.DEFAULT_TENANT)


class NamespaceBook:
    """Sink of Namespaces. `moved` is told each namespace whose tenant is another from now on."""

    def __init__(self, moved: Callable[[str], None]) -> None:
        self._labelled: Shelf[TenantName] = Shelf(_labelled, moved)

    def tenant_of(self, namespace: str) -> TenantName:
        """Return the namespace's tenant; the default one where no label says otherwise."""
        return self._labelled.kept.get(namespace, DEFAULT)

    def replace(self, items: Sequence[JSON]) -> None:
        """Take the whole list in."""
        self._labelled.replace(items)

    def see(self, event: str, item: JSON) -> None:
        """Take a change in."""
        self._labelled.see(event, item)


def _labelled(item: JSON) -> TenantName | None:
    name = mapping(mapping(item, "metadata"), "labels").get(names.TENANT_LABEL)
    return TenantName(str(name)) if name and name != DEFAULT else None
