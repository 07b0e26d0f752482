"""Where a pod may go: nodeSelector, required node affinity, tolerations, zones of its volumes.

The answers are kube-scheduler's, for a pin can't be taken back. Sources: k8s.io/component-helpers
scheduling/corev1/nodeaffinity, k8s.io/apimachinery pkg/labels/selector.go, k8s.io/api
core/v1/toleration.go, and kube-scheduler's plugins NodeAffinity and TaintToleration.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scheduler.core.model.nodes import Node

NAME_FIELD = "metadata.name"
"""The one field of nodes that a term may ask for."""

PASSING = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
"""Taints under these names say how a node is at the moment; Kubernetes sets and lifts them."""

_KEEPS_OFF = ("NoSchedule", "NoExecute")
_LABEL_VALUE = re.compile(r"(?=.{0,63}\Z)(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?\Z")
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}\Z")


@dataclass(frozen=True, slots=True)
class Taint:
    """What keeps pods off a node unless they tolerate it; PreferNoSchedule doesn't."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"

    @property
    def keeps_off(self) -> bool:
        """Whether it keeps new pods off."""
        return self.effect in _KEEPS_OFF

    @property
    def passing(self) -> bool:
        """Whether it is about the node's state of the moment, such as "not ready"."""
        return self.key.startswith(PASSING)

    def describe(self) -> str:
        """Return it as kubectl writes it: "key=value:effect"."""
        value = f"={self.value}" if self.value else ""
        return f"{self.key}{value}:{self.effect}"


@dataclass(frozen=True, slots=True)
class Toleration:
    """Which taints a pod bears: an empty key with Exists all of them, an empty effect each one.

    Gt and Lt tolerate nothing: kube-scheduler reads them only behind a gate that is off by default.
    """

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        """Whether it makes up for the taint."""
        if self.effect not in ("", taint.effect) or self.key not in ("", taint.key):
            return False
        if self.operator == "Exists":
            return True
        return self.operator in ("", "Equal") and self.value == taint.value


@dataclass(frozen=True, slots=True)
class Requirement:
    """One line of a term. `operator`: In, NotIn, Exists, DoesNotExist, Gt or Lt.

    One that Kubernetes couldn't read as a line about labels holds nowhere.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()
    _readable: bool = field(init=False, repr=False, compare=False, default=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_readable", _is_readable(self.operator, self.values))

    def holds(self, value: str | None) -> bool:
        """Whether it holds for a label of that value; None: the node has no such label."""
        if not self._readable:
            return False
        if value is None:
            return self.operator in ("NotIn", "DoesNotExist")
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Gt" | "Lt":
                return _compares(value, self.operator, self.values[0])
        return self.operator == "Exists"

    def holds_for_field(self, value: str | None) -> bool:
        """Whether it holds for a field of that value: In or NotIn, with exactly one value."""
        if len(self.values) != 1 or self.operator not in ("In", "NotIn"):
            return False
        return (value == self.values[0]) == (self.operator == "In")


@dataclass(frozen=True, slots=True)
class Term:
    """Lines that must all hold, about labels and about fields; a term without lines never does."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()

    def holds(self, labels: Mapping[str, str], name: str) -> bool:
        """Whether it holds for a node of these labels and that name."""
        if not self.labels and not self.fields:
            return False
        return all(line.holds(labels.get(line.key)) for line in self.labels) and all(
            line.holds_for_field(name if line.key == NAME_FIELD else "") for line in self.fields
        )


@dataclass(frozen=True, slots=True)
class Constraints:
    """All that narrows the choice of nodes for one pod.

    `selector` holds labels and their values, sorted. Of `terms` every group must hold, which it
    does by any of its terms: the pod's own affinity is one group, each bound volume brings others.
    """

    selector: tuple[tuple[str, str], ...] = ()
    terms: tuple[tuple[Term, ...], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.selector, self.terms, self.tolerations)))

    def __hash__(self) -> int:
        # What a request counts and who is full is looked up by it, thousands of times in a round.
        return self._hash

    def narrowed(self, labels: Iterable[tuple[str, str]]) -> "Constraints":
        """Return the same for nodes with these labels alone."""
        return replace(self, selector=tuple(sorted({*self.selector, *labels})))

    def allow(self, node: "Node") -> bool:
        """Whether kube-scheduler would let the pod go there, as far as labels and taints go."""
        return self.tolerate(node.taints) and self.select(node.labels, node.name)

    def tolerate(self, taints: Iterable[Taint]) -> bool:
        """Whether the pod bears all of these taints."""
        return self._unbearable(taints) is None

    def select(self, labels: Mapping[str, str], name: str) -> bool:
        """Whether nodeSelector, affinity and volumes take a node of these labels and that name."""
        return all(labels.get(key) == value for key, value in self.selector) and all(
            any(term.holds(labels, name) for term in group) for group in self.terms
        )

    def objection(self, node: "Node", *, passing: bool = True) -> str:
        """Return in a few words what keeps the pod off the node, "" for nothing.

        Without `passing`, taints that are about the state of the moment are left out.
        """
        for key, value in self.selector:
            if node.labels.get(key) != value:
                return f"its nodeSelector asks for {key}={value}"
        if not self.select(node.labels, node.name):
            return "its node affinity, or a volume that it uses, asks for other nodes"
        taint = self._unbearable(each for each in node.taints if passing or not each.passing)
        return "" if taint is None else f"it doesn't tolerate the taint {taint.describe()}"

    def _unbearable(self, taints: Iterable[Taint]) -> Taint | None:
        for taint in taints:
            if taint.keeps_off and not any(each.tolerates(taint) for each in self.tolerations):
                return taint
        return None


NO_CONSTRAINTS = Constraints()
"""Those of a pod that says nothing: any node without taints."""


def _is_readable(operator: str, values: tuple[str, ...]) -> bool:
    if not all(map(_LABEL_VALUE.match, values)):
        return False
    match operator:
        case "In" | "NotIn":
            return bool(values)
        case "Exists" | "DoesNotExist":
            return not values
        case "Gt" | "Lt":
            return len(values) == 1 and _whole(values[0]) is not None
    return False


def _compares(value: str, operator: str, bound: str) -> bool:
    number, limit = _whole(value), _whole(bound)
    if number is None or limit is None:
        return False
    return number > limit if operator == "Gt" else number < limit


def _whole(text: str) -> int | None:
    """Return the 64-bit integer that Go's strconv.ParseInt reads; None if it reads none."""
    number = int(text) if _WHOLE.match(text) else None
    return number if number is not None and -(2**63) <= number < 2**63 else None
