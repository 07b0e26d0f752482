"""Nodes as rows, devices as columns: the numbers that decisions are taken on.

N rows (nodes), D columns (the most devices that one node has). Where a node has fewer devices,
capacity is 0 and nothing ever fits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scheduler.core.ledger.block import HOSTED_KINDS, WORD, Block
from scheduler.core.model.amounts import MILLI
from scheduler.core.model.ids import DeviceUUID, NodeName
from scheduler.core.model.nodes import MANY_PODS, Node
from scheduler.core.model.placements import Slot
from scheduler.core.model.requests import Request

CHANGES_KEPT = 100_000
"""How many changed rows `changes` remembers before it starts again with a new epoch."""

_DEVICE = ("cap", "free", "mib_cap", "free_mib", "load")


@dataclass(frozen=True, slots=True)
class Remains:
    """What columns keep of rows that are others by now: it changes order and words, no amount.

    `width` as in Columns, `models` in their order; what once mattered is looked at ever after.
    """

    width: int = 1
    models: tuple[str, ...] = ()
    mig_models: frozenset[str] = frozenset()
    memory_matters: bool = False
    pods_matter: bool = False
    load_matters: bool = False


def hosted_kind(request: Request) -> int:
    """Column of `hosted` that counts pods with this request; -1 for one without a GPU."""
    if not request.devices:
        return -1
    return min(request.devices, HOSTED_KINDS - 1) if request.whole else 0


class Columns(Block):
    """Mutable arrays of integers; only the ledger and trials write to them.

    Per node [N]: `cpu_cap`, `free_cpu` (milli-CPU), `ram_cap`, `free_ram` (MiB), `pods_cap`,
    `free_pods` (pods, whatever they ask for), and `hosted`.
    Per device [N, D]: `cap`, `free`, `room` (milli-GPU), `mib_cap`, `free_mib`, `room_mib` (MiB),
    `model` (index into `models`, -1 where there is no device), `load` (tenths), `mig`, and `shut`:
    no device, an ill one, or a closed node. `free` is capacity less what is held and may fall below
    0, which is overselling; `room` is what a new pod may take: `free`, but -1 where it is shut.
    `room_mib` leaves out memory that strangers hold, too.

    `links`: of rows whose devices aren't all linked with each other, which are [D bytes]: equal
    ones.

    `changes` lists the rows changed, oldest first, so that scores can be kept for the others;
    a new `epoch` says that rows, columns or models came to be or changed their make, so that what
    was worked out for other rows may be wrong, too; or that the list started again.
    """

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.names: list[NodeName] = []
        self.uuids: list[tuple[DeviceUUID, ...]] = []
        self.row: dict[NodeName, int] = {}
        self.models: list[str] = []
        self.mig_models: set[str] = set()
        self.links: dict[int, bytes] = {}
        self.changes: list[int] = []
        self.epoch = 0
        self.memory_matters = False
        self.pods_matter = False
        self.load_matters = False
        self._largest: tuple[int, tuple[int, int]] | None = None
        super().__init__(0, 1)
        self.add(list(nodes))

    @property
    def largest(self) -> tuple[int, int]:
        """CPU (milli-CPU) and GPUs (milli-GPU) of the largest node of each; at least 1.

        Worked out once an epoch: whatever changes them begins a new one.
        """
        if self._largest is None or self._largest[0] != self.epoch:
            cpu = max(int(self.cpu_cap.max(initial=0)), 1)
            milli = max(int(self.cap.sum(axis=1).max(initial=0)), 1)
            self._largest = (self.epoch, (cpu, milli))
        return self._largest[1]

    @property
    def remains(self) -> Remains:
        """What can't be told from the rows alone."""
        return Remains(
            width=self.width,
            models=tuple(self.models),
            mig_models=frozenset(self.mig_models),
            memory_matters=self.memory_matters,
            pods_matter=self.pods_matter,
            load_matters=self.load_matters,
        )

    def resume(self, remains: Remains) -> None:
        """Go on as columns would from which these remain, so that answers are the same."""
        self.models += [name for name in remains.models if name not in self.models]
        self.mig_models = set(remains.mig_models)
        self.memory_matters = remains.memory_matters
        self.pods_matter, self.load_matters = remains.pods_matter, remains.load_matters
        if remains.width > self.width:
            self._grow(len(self.names), remains.width)
        self.epoch += 1

    def add(self, nodes: Sequence[Node]) -> None:
        """Append rows for new nodes, all free."""
        if not nodes:
            return
        first = len(self.names)
        self._grow(first + len(nodes), max(self.width, *(len(n.devices) for n in nodes)))
        for row, node in enumerate(nodes, start=first):
            self.names.append(node.name)
            self.uuids.append(())
            self.row[node.name] = row
            self.reset(row, node)
        self.epoch += 1

    def reset(self, row: int, node: Node) -> None:
        """Describe the row anew, with nothing held. The caller takes again what is held."""
        if len(node.devices) > self.width:
            self._grow(len(self.names), len(node.devices))
            self.epoch += 1
        before = self._make(row)
        self.cpu_cap[row] = self.free_cpu[row] = node.cpu_milli
        self.ram_cap[row] = self.free_ram[row] = node.ram_mib
        self.pods_cap[row] = self.free_pods[row] = node.pods
        self.crowded[row] = node.pods < 1
        self.pods_matter |= node.pods < MANY_PODS
        self.hosted[row] = 0
        for name in _DEVICE:
            getattr(self, name)[row] = 0
        self.model[row] = -1
        self.room[row] = self.room_mib[row] = -1
        self.mig[row] = False
        self.shut[row] = True
        for index, device in enumerate(node.devices):
            self.cap[row, index] = self.free[row, index] = device.milli
            self.mib_cap[row, index] = self.free_mib[row, index] = device.memory_mib
            self.model[row, index] = self._model(device.model, mig=device.mig)
            self.mig[row, index] = device.mig
            self.load[row, index] = min(device.load, MILLI) // 100
            if node.open and device.healthy:
                self.shut[row, index] = False
                self.room[row, index] = device.milli
                self.room_mib[row, index] = device.memory_mib - device.foreign_mib
                self.memory_matters |= device.foreign_mib > 0
        self.uuids[row] = tuple(device.uuid for device in node.devices)
        self._link(row, node)
        if not self.load_matters and self.load[row].any():
            # Until now nobody's score looked at load.
            self.load_matters = True
            self.epoch += 1
        if self._make(row) != before:
            # The largest node and the smallest card of a model are yardsticks for all rows.
            self.epoch += 1
        self._note(row)

    def take(self, row: int, slots: Sequence[Slot], request: Request) -> None:
        """Book one pod on the row: slots, and the request's CPU and memory. Checks nothing."""
        self._book(row, slots, request, 1)

    def give(self, row: int, slots: Sequence[Slot], request: Request) -> None:
        """Undo `take`."""
        self._book(row, slots, request, -1)

    def copy(self) -> "Columns":
        """Return columns that share no array with these; 0.2 ms for 5,000 nodes × 8."""
        twin = Columns.__new__(Columns)
        twin.__dict__.update(self.__dict__)
        twin.changes = []
        twin.names, twin.uuids, twin.row = list(self.names), list(self.uuids), dict(self.row)
        twin.models, twin.mig_models = list(self.models), set(self.mig_models)
        twin.links = dict(self.links)
        twin._copy_arrays()
        return twin

    def state(self, row: int, *, hosted: bool = False) -> bytes:
        """Return what the row offers, with which of its devices are linked where not all are."""
        found = super().state(row, hosted=hosted)
        return found + self.links[row] if row in self.links else found

    def same_as(self, other: "Columns") -> bool:
        """Whether names and every number agree."""
        return self.names == other.names and self._same_arrays(other)

    def _book(self, row: int, slots: Sequence[Slot], request: Request, sign: int) -> None:
        # Through the block: array by array it would be most of what a placement costs.
        words, truths, at = self._words, self._bytes, self._starts
        line, first = row * self._stride, row * self._stride // WORD
        words[first + at.free_cpu] -= sign * request.cpu_milli
        words[first + at.free_ram] -= sign * request.ram_mib
        free_pods = words[first + at.free_pods] - sign
        words[first + at.free_pods] = free_pods
        truths[line + at.crowded] = free_pods < 1
        kind = hosted_kind(request)
        # A pod that was bound without an assignment holds no GPU, whatever it asked for.
        if kind >= 0 and slots:
            words[first + at.hosted + kind] += sign
        for slot in slots:
            if not 0 <= slot.index < self.width:
                raise IndexError(f"{self.names[row]} has no device {slot.index}")
            place, milli, mib = first + slot.index, sign * slot.milli, sign * slot.memory_mib
            # With more memory than goes with its share, what is left may be share without memory.
            part = slot.milli * words[place + at.mib_cap]
            if slot.memory_mib * words[place + at.cap] > part:
                self.memory_matters = True
            words[place + at.free] -= milli
            words[place + at.free_mib] -= mib
            # A device that is shut stays shut, whatever comes and goes on it.
            if not truths[line + at.shut + slot.index]:
                words[place + at.room] -= milli
                words[place + at.room_mib] -= mib
        self._note(row)

    def _link(self, row: int, node: Node) -> None:
        """Note which devices are linked; most machines link all of theirs, or none is known."""
        known: dict[int, int] = {}
        numbers = (known.setdefault(each.link, len(known)) for each in node.devices)
        found = bytes(min(number, 255) for number in numbers)
        if self.links.get(row, b"") != (found if len(known) > 1 else b""):
            self.epoch += 1
            self.links.pop(row, None)
            if len(known) > 1:
                self.links[row] = found

    def _make(self, row: int) -> tuple[int | bytes, ...]:
        beside = (self.cpu_cap[row], self.ram_cap[row], self.pods_cap[row])
        cards = (self.cap[row], self.mib_cap[row], self.model[row])
        return (*map(int, beside), *(column.tobytes() for column in cards))

    def _note(self, row: int) -> None:
        if len(self.changes) >= CHANGES_KEPT:
            # Whoever reads the log starts afresh: the log of a live ledger must not grow for ever.
            self.changes.clear()
            self.epoch += 1
        self.changes.append(row)

    def _model(self, name: str, *, mig: bool) -> int:
        if name not in self.models:
            self.models.append(name)
            self.epoch += 1
        if mig and name not in self.mig_models:
            self.mig_models.add(name)
            self.epoch += 1
        return self.models.index(name)
