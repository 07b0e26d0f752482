"""Which gang a pod is of, by its own words or by an object that it is of. The one reader of it.

Its annotations go first, then the PodGroup that it names, then what made it.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from scheduler.core.model import amounts, names
from scheduler.core.model.errors import InvalidRequest
from scheduler.core.model.gangowners import Membership, ObjectRef, Owners
from scheduler.core.model.gangs import MOST_MEMBERS, Gang, Topology
from scheduler.core.model.gangshapes import Shape
from scheduler.core.model.stored import Stored, mapping

ALL, NONE = "all", "none"
"""Instead of a number: all that what made the pod makes; the pod starts by itself."""

_NO_GANG = f"set both alike, or {names.GANG_SIZE} to {NONE}"

_LABEL = re.compile(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
"""Labels' names: k8s.io/apimachinery pkg/util/validation, IsQualifiedName."""

Known = Callable[[ObjectRef], Shape | str]
"""What an object says, or why nobody knows yet, in one sentence that says what to change."""

GangOf = Callable[[Stored], Gang | None]
"""What a pod starts together with; None: with nothing. Raises InvalidRequest."""


def membership(pod: Stored, owners: Owners) -> Gang | Membership | None:
    """Read a pod: its gang, or that it is of one by an object; None: of none.

    Gangs of one name in two namespaces are two. Raises InvalidRequest.
    """
    notes = mapping(mapping(pod, "metadata"), "annotations")
    found, topology = _membership(pod, notes, owners), _topology(notes)
    if topology is None:
        return found
    if found is None:
        raise InvalidRequest(
            f"how near pods sit is said of gangs; set {names.GANG} and {names.GANG_SIZE} as well, "
            f"or leave {names.REQUIRED_TOPOLOGY} and {names.PREFERRED_TOPOLOGY} out"
        )
    return replace(found, topology=topology)


def _membership(pod: Stored, notes: Stored, owners: Owners) -> Gang | Membership | None:
    name, text = notes.get(names.GANG), notes.get(names.GANG_SIZE)
    if name is None and text is None:
        return owners.group_of(pod) or owners.owner_of(pod, asked=False)
    if name is not None:
        return _named(pod, name, text)
    if text == NONE:
        return None
    size = None if text == ALL else _size(text)
    owner = owners.owner_of(pod, asked=True)
    if owner is None:
        raise InvalidRequest(
            f"{names.GANG_SIZE} without {names.GANG} is of what made the pod, which is none of "
            f"{owners.names()}; set {names.GANG} as well"
        )
    return replace(owner, asked=True, size=size)


def resolve(found: Membership, shape: Shape | str) -> Gang | None:
    """Return the gang that a pod is of by an object that says this."""
    ref, once = found.ref, bool(found.ref.uid)
    steps = (f"{ref.kind}:{ref.name}", ref.uid, found.group)
    name = "/".join((ref.namespace, *filter(None, steps)))
    if isinstance(shape, str):
        return Gang(name, 0, unknown=shape)
    if not shape.steady(found.part) and found.asked:
        return Gang(name, 0, unknown=f"{ref} has more completions than pods at a time; {_NO_GANG}")
    if not shape.together or not shape.steady(found.part):
        return None
    if found.total is not None:
        shape = shape.of_total(found.total)
    if shape.apart:
        name = f"{name}/{found.part}"
    size = found.size or shape.size(found.part)
    return Gang(name, size, once=once, topology=found.topology)


def gang_of(pod: Stored, owners: Owners, known: Known) -> Gang | None:
    """Return what the pod starts together with; None: with nothing. Raises InvalidRequest."""
    found = membership(pod, owners)
    return resolve(found, known(found.ref)) if isinstance(found, Membership) else found


def _named(pod: Stored, name: object, text: object) -> Gang:
    if not name or text is None:
        missing = names.GANG_SIZE if name else names.GANG
        raise InvalidRequest(
            f"a gang has a name and a size; set {missing} as well, or leave both out"
        )
    if text in (ALL, NONE):
        raise InvalidRequest(
            f"{names.GANG_SIZE}: {amounts.quoted(str(text))} goes without {names.GANG}; leave that "
            "out, or write how many pods start together"
        )
    namespace = mapping(pod, "metadata").get("namespace") or ""
    return Gang(f"{namespace}/{name}", _size(text))


def _topology(notes: Stored) -> Topology | None:
    required = notes.get(names.REQUIRED_TOPOLOGY)
    level = notes.get(names.PREFERRED_TOPOLOGY) if required is None else required
    if level is None:
        return None
    key = names.PREFERRED_TOPOLOGY if required is None else names.REQUIRED_TOPOLOGY
    if required is not None and names.PREFERRED_TOPOLOGY in notes:
        raise InvalidRequest(f"give either {key} or {names.PREFERRED_TOPOLOGY}, not both")
    if not isinstance(level, str) or not _LABEL.fullmatch(level):
        raise InvalidRequest(
            f"{key}: {amounts.quoted(str(level))}; name a label of nodes, such as "
            '"topology.kubernetes.io/zone"'
        )
    return Topology(level, required=required is not None)


def _size(text: object) -> int:
    digits = str(text).lstrip("0")
    # Python reads no number of thousands of digits.
    if not digits.isascii() or not digits.isdecimal() or int(digits[:12]) > MOST_MEMBERS:
        raise InvalidRequest(
            f"{names.GANG_SIZE}: {amounts.quoted(str(text))}; write how many pods start together, "
            f'1 to {MOST_MEMBERS}, "{ALL}" or "{NONE}"'
        )
    return int(digits)


def _nobody(ref: ObjectRef) -> str:
    return f"{ref} can't be looked up here; give its pods {names.GANG} and {names.GANG_SIZE}"


_PLAIN = Owners()


def gang_by_words(pod: Stored) -> Gang | None:
    """Read the same where no objects can be looked up. Raises InvalidRequest."""
    return gang_of(pod, _PLAIN, _nobody)
