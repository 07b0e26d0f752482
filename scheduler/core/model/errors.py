"""What can go wrong, as a tree. Every text is one sentence that says what to change.

EquipoiseError
├── InvalidInput            somebody's input can't be used as it is
│   ├── InvalidRequest      a pod's annotations or resources
│   ├── InvalidTenants      a set of tenants that is no tree
│   └── InvalidFile         a file; carries path and line
├── DeviceError             no driver, no GPU, or one that doesn't answer
├── LedgerError             a claim that the ledger refuses; nothing was changed
│   ├── UnknownPlace        a node or device that the ledger doesn't know
│   ├── Oversold            more than the node or a device has left
│   └── AlreadyBound        the pod is bound, its place can't be changed
└── NotWritten              the cluster refused a write; nothing was stored
    ├── BindRefused         a Binding
    ├── AlreadyAssigned     a Binding, for the pod is bound; carries where to
    ├── ReleaseRefused      a release
    └── NotLeading          anything: another replica may act by now
"""

from collections.abc import Mapping

from scheduler.core.model.ids import NodeName


class EquipoiseError(Exception):
    """Base of all that Equipoise raises on purpose."""


class InvalidInput(EquipoiseError):
    """Somebody's input can't be used as it is; the text says what to change."""


class InvalidRequest(InvalidInput):
    """A pod's annotations or resources ask for something that can't be granted as written."""


class InvalidTenants(InvalidInput):
    """The tenants don't form a tree, or an amount of theirs is out of range."""


class InvalidFile(InvalidInput):
    """A file can't be read as what it should be.

    `line` counts from 1; None where no line is to blame.
    """

    def __init__(self, path: str, problem: str, line: int | None = None) -> None:
        self.path, self.line, self.problem = path, line, problem
        where = path if line is None else f"{path}:{line}"
        super().__init__(f"{where}: {problem}")


class DeviceError(EquipoiseError):
    """No driver, no GPU, or a GPU that doesn't answer."""


class LedgerError(EquipoiseError):
    """A claim that the ledger refuses; nothing was changed."""


class UnknownPlace(LedgerError):
    """The claim names a node or a device that the ledger doesn't know."""


class Oversold(LedgerError):
    """The claim is more than the node or one of its devices has left."""


class AlreadyBound(LedgerError):
    """The pod is bound; its place can't be changed any more."""


class NotWritten(EquipoiseError):
    """The cluster refused a write for good; nothing was stored."""


class BindRefused(NotWritten):
    """Nothing was bound, and nothing will be: the pod is gone, another, gated or being deleted."""


class AlreadyAssigned(NotWritten):
    """The pod is bound to a node; `annotations` are those that it carries now."""

    def __init__(self, node: NodeName, annotations: Mapping[str, str]) -> None:
        self.node, self.annotations = node, annotations
        super().__init__(f"the pod is bound to {node} already")


class ReleaseRefused(NotWritten):
    """The pod keeps its gate: it changed meanwhile, or the API server refused the patch."""


class NotLeading(NotWritten):
    """Another replica may be the one that acts by now; nothing was sent."""
