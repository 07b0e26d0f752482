"""The arrays of columns in one block of memory: a row is read, and all are copied, in one piece."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Rows = Ints | slice
"""Which rows a function looks at: an index array, or a slice for all."""

HOSTED_KINDS = 18
"""Columns of `hosted`: 0 pods with a share, k pods with k whole devices, the last one for more."""

_STATE_PER_NODE = ("cpu_cap", "free_cpu", "ram_cap", "free_ram")
_STATE_PER_DEVICE = ("room", "room_mib", "cap", "mib_cap", "model")
_STATE_BOOLS = ("mig", "shut")
_PER_DEVICE = ("free", "free_mib", "load")
_PER_NODE = ("pods_cap", "free_pods")

_EMPTY = {"model": -1, "room": -1, "room_mib": -1, "shut": 1}
"""What an array says where there is no device; others 0."""

WORD = 8


class Starts(NamedTuple):
    """Where in a row some arrays begin: in words, the last two in bytes."""

    free_cpu: int
    free_ram: int
    room: int
    room_mib: int
    cap: int
    mib_cap: int
    hosted: int
    free: int
    free_mib: int
    free_pods: int
    shut: int
    crowded: int


class Block:
    """Arrays of N rows and D devices, integers and truth values; see Columns for what they mean.

    `crowded` [N]: no room for one more pod.
    """

    cpu_cap: Ints
    free_cpu: Ints
    ram_cap: Ints
    free_ram: Ints
    pods_cap: Ints
    free_pods: Ints
    hosted: Ints
    cap: Ints
    free: Ints
    room: Ints
    mib_cap: Ints
    free_mib: Ints
    room_mib: Ints
    model: Ints
    load: Ints
    mig: Bools
    shut: Bools
    crowded: Bools

    def __init__(self, rows: int, width: int) -> None:
        self._allocate(rows, width)

    @property
    def width(self) -> int:
        """D, the most devices that one node has."""
        return self._width

    def state(self, row: int, *, hosted: bool = False) -> bytes:
        """Return what the row offers: to a new pod, rows of the same epoch and state are alike.

        Measured load is no part of it, and who is `hosted` only if that is asked for.
        """
        start = row * self._stride
        return bytes(self._bytes[start : start + (self._hosted_end if hosted else self._state_end)])

    def plain(self, row: int) -> tuple[list[int], bytes]:
        """Return the state as plain numbers: `ints` in the order of the layout, then truth values.

        For one row that is faster than an array at a time.
        """
        start, first = row * self._stride, row * self._stride // WORD
        ints = self._words[first : first + self._ints_end // WORD].tolist()
        return ints, bytes(self._bytes[start + self._ints_end : start + self._state_end])

    def freeze(self) -> None:
        """Make every array read-only."""
        self._raw.flags.writeable = False
        self._name()

    def _allocate(self, rows: int, width: int) -> None:
        self._width, self._layout = width, _layout(width)
        self._ints_end = self._layout["mig"][0]
        self._state_end, self._hosted_end = self._layout["hosted"]
        starts = {name: self._layout[name][0] for name in Starts._fields}
        in_bytes = {name: starts.pop(name) for name in ("shut", "crowded")}
        self._starts = Starts(**{k: start // WORD for k, start in starts.items()}, **in_bytes)
        # Whole words, so that each row begins where one does.
        self._stride = -(-max(end for _, end in self._layout.values()) // WORD) * WORD
        self._raw = np.zeros((rows, self._stride), dtype=np.uint8)
        self._name()
        for name, filler in _EMPTY.items():
            getattr(self, name)[...] = filler

    def _grow(self, rows: int, width: int) -> None:
        old = {name: getattr(self, name) for name in self._layout}
        self._allocate(rows, width)
        for name, before in old.items():
            getattr(self, name)[tuple(slice(size) for size in before.shape)] = before

    def _copy_arrays(self) -> None:
        """Go on with arrays of its own."""
        self._raw = self._raw.copy()
        self._name()

    def _same_arrays(self, other: "Block") -> bool:
        return all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in self._layout
        )

    def _name(self) -> None:
        """Let each name be its part of the block."""
        # One number at a time is read and written in a third of the time through these.
        flat = self._raw.reshape(-1)
        self._bytes, self._words = flat.data, flat.view(np.int64).data
        for name, (start, end) in self._layout.items():
            part: npt.NDArray[Any] = self._raw[:, start:end]
            if name in (*_STATE_BOOLS, "crowded"):
                part = part.view(np.bool_)
            else:
                part = part.view(np.int64)
            if name in (*_STATE_PER_NODE, *_PER_NODE, "crowded"):
                part = part[:, 0]
            setattr(self, name, part)


def _layout(width: int) -> dict[str, tuple[int, int]]:
    """Where each array lies in a row, in bytes: first what makes up its state."""
    return dict(_parts(width))


def _parts(width: int) -> Iterator[tuple[str, tuple[int, int]]]:
    ends = 0
    each_node, each_device = WORD, WORD * width
    sizes = [
        *((name, each_node) for name in _STATE_PER_NODE),
        *((name, each_device) for name in _STATE_PER_DEVICE),
        *((name, width) for name in _STATE_BOOLS),
        ("crowded", 1),
        ("hosted", WORD * HOSTED_KINDS),
        *((name, each_device) for name in _PER_DEVICE),
        *((name, each_node) for name in _PER_NODE),
    ]
    for name, size in sizes:
        # Integers begin where a word does.
        start = ends if size % WORD else -(-ends // WORD) * WORD
        ends = start + size
        yield name, (start, ends)
