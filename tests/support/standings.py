"""Made-up pictures of a cluster: a large tenant with a backlog, and small ones that come later."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from scheduler.core.model.fragments import Fragments
from scheduler.core.model.ids import DeviceUUID, NodeName, PodUID, TenantName
from scheduler.core.model.standing import (
    DeviceStanding,
    Slice,
    Standing,
    TenantStanding,
    Waiting,
)
from scheduler.core.model.verdicts import Reason, Verdict

START = 1_760_000_000.0
MODELS = (
    ("A100-SXM4-80GB", 81920),
    ("A100-SXM4-80GB", 81920),
    ("H100-80GB-HBM3", 81559),
    ("L40S", 46068),
    ("Tesla-T4", 15360),
)
SMALL = ("vision", "speech", "robotics", "genomics", "search", "teaching")
SIZES = (250, 500, 200, 125, 300, 1000)


def tenant(name: str = "vision", **changes: object) -> TenantStanding:
    base = TenantStanding(
        name=TenantName(name),
        parent=None,
        leaf=True,
        guarantee=Fraction(1),
        weight=Fraction(1),
        limit=None,
        priority=100,
        fair_share=Fraction(2),
        allocated=Fraction(3, 2),
        demand=Fraction(5),
        lag=12.0,
        pending_pods=2,
        running_pods=3,
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields by name, for brevity


def device(uuid: str = "GPU-0", **changes: object) -> DeviceStanding:
    base = DeviceStanding(
        node=NodeName("gpu-1"),
        index=0,
        uuid=DeviceUUID(uuid),
        model="A100-SXM4-80GB",
        milli=1000,
        memory_mib=81920,
        healthy=True,
        foreign_mib=0,
        used_mib=0,
        load=0,
        slices=(),
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields by name, for brevity


def piece(tenant: str = "vision", milli: int = 250, **changes: object) -> Slice:
    base = Slice(
        uid=PodUID("uid-1"),
        pod=f"{tenant}/train-1",
        tenant=TenantName(tenant),
        milli=milli,
        memory_mib=1024,
        bound=True,
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields by name, for brevity


def waiting(pod: str = "vision/train-9", **changes: object) -> Waiting:
    base = Waiting(
        uid=PodUID(pod),
        pod=pod,
        tenant=TenantName("vision"),
        request="0.25 GPU",
        since=START,
        verdict=Verdict(Reason.WAITS_FOR_TURN),
    )
    return replace(base, **changes)  # type: ignore[arg-type]  # fields by name, for brevity


@dataclass
class Story:
    """A cluster of `nodes` × `per_node` GPUs over time; call `at` with rising seconds."""

    nodes: int = 5
    per_node: int = 4
    small: tuple[str, ...] = SMALL
    lags: dict[str, float] = field(default_factory=dict)
    last: float = 0.0

    def at(self, seconds: float) -> Standing:
        names = ("foundation-models", *self.small)
        due = self._due(names, seconds)
        empty = list(self._devices(seconds))
        got = {name: self._got(name, due[name], seconds) for name in names}
        devices = _fill(empty, got, seconds)
        held = {
            name: sum(s.milli for d in devices for s in d.slices if s.tenant == name)
            for name in names
        }
        self._advance(names, due, held, seconds)
        free = sum(d.milli - sum(s.milli for s in d.slices) for d in devices)
        ratios = [held[n] / due[n] for n in names if due[n]]
        return Standing(
            at=START + seconds,
            tenants=tuple(self._tenant(n, i, due[n], held[n]) for i, n in enumerate(names)),
            devices=devices,
            waiting=tuple(self._waiting(names, due, held, seconds)),
            jain=sum(ratios) ** 2 / (len(ratios) * sum(r * r for r in ratios)),
            free_milli=free,
            fragments=Fragments(devices=free * 2 // 5, cpu=free // 10),
        )

    def _due(self, names: tuple[str, ...], seconds: float) -> dict[str, int]:
        total = (self.nodes * self.per_node - 2) * 1000
        due = {}
        for index, name in enumerate(names[1:], start=1):
            arrived = seconds >= 12 * ((index - 1) % 12 + 1)
            ramp = min(1.0, max(0.0, (seconds - 12 * ((index - 1) % 12 + 1)) / 20))
            share = total * (index % 5 + 2) // (12 * len(names))
            due[name] = int(share * (0.4 + 0.6 * ramp)) if arrived else 0
        return {names[0]: total - sum(due.values()), **due}

    def _got(self, name: str, due: int, seconds: float) -> int:
        wobble = (0.97, 1.0, 0.9, 1.06, 1.0, 0.86, 1.1)[(len(name) + int(seconds) // 15) % 7]
        return int(due * (wobble if name in self.small else 0.985))

    def _devices(self, seconds: float) -> Iterator[DeviceStanding]:
        for n in range(self.nodes):
            model, memory = MODELS[n % len(MODELS)]
            for index in range(self.per_node):
                strange = 6200 if (n, index) == (4, 3) else 11000 if (n, index) == (3, 3) else 0
                yield device(
                    uuid=f"GPU-{n:04x}-{index}",
                    node=NodeName(f"gpu-{n + 1:02d}"),
                    index=index,
                    model=model,
                    memory_mib=memory,
                    foreign_mib=strange,
                    used_mib=strange,
                    healthy=(n, index) != (4, 2),
                    load=(n * 271 + index * 397 + int(seconds) * 7) % 1000,
                )

    def _advance(
        self, names: tuple[str, ...], due: dict[str, int], held: dict[str, int], seconds: float
    ) -> None:
        passed, self.last = seconds - self.last, seconds
        delivered = sum(held.values()) / max(1, sum(due.values()))
        for name in names:
            gain = (due[name] * delivered - held[name]) / 1000 * passed
            self.lags[name] = self.lags.get(name, 0.0) + gain

    def _tenant(self, name: str, index: int, due: int, held: int) -> TenantStanding:
        size = SIZES[index % len(SIZES)]
        return tenant(
            name,
            guarantee=Fraction(4 if index == 0 else index % 3, 2 if index else 1),
            weight=Fraction(4 if index == 0 else 1),
            limit=Fraction(3) if index == 3 else None,
            fair_share=Fraction(due, 1000),
            allocated=Fraction(held, 1000),
            demand=Fraction(due + 12000 if index == 0 else due + size, 1000),
            lag=self.lags[name],
            pending_pods=41 if index == 0 else (index * 2) % 5 if due else 0,
            running_pods=-(-held // size),
        )

    def _waiting(
        self, names: tuple[str, ...], due: dict[str, int], held: dict[str, int], seconds: float
    ) -> Iterator[Waiting]:
        now = START + seconds
        for number in range(41):
            yield waiting(
                f"foundation-models/pretrain-{number + 100}",
                tenant=TenantName(names[0]),
                request="1 GPU" if number % 3 else "4 GPUs, H100",
                since=now - 300 + number,
                verdict=Verdict(Reason.WAITS_FOR_TURN)
                if number % 3
                else Verdict(
                    Reason.NO_ROOM,
                    "needs 4 free H100 on one node, the best has 1; ask for fewer or wait",
                ),
            )
        for index, name in enumerate(names[1:], start=1):
            for number in range((index * 2) % 5 if due[name] else 0):
                yield waiting(
                    f"{name}/job-{number + 40}",
                    tenant=TenantName(name),
                    request=f"{SIZES[index % len(SIZES)] / 1000:g} GPU",
                    since=now - 9 * index - number,
                    verdict=Verdict(Reason.OVER_LIMIT, f"{held[name] / 1000:g} of 3 GPUs held")
                    if index == 3
                    else Verdict(Reason.WAITS_FOR_TURN),
                )


def _room(device: DeviceStanding) -> int:
    left = device.memory_mib - device.foreign_mib
    return device.milli * left // device.memory_mib if device.healthy else 0


def _fill(
    empty: list[DeviceStanding], got: dict[str, int], seconds: float
) -> tuple[DeviceStanding, ...]:
    slices: list[list[Slice]] = [[] for _ in empty]
    room = [_room(device) for device in empty]
    first = 0
    for index, (name, amount) in enumerate(got.items()):
        size, left, number = SIZES[index % len(SIZES)] if index else 1000, amount, 0
        where = first
        while left >= min(size, 100) and where < len(empty):
            take = min(size, left)
            if room[where] < take:
                where += 1
                continue
            room[where] -= take
            left -= take
            number += 1
            slices[where].append(
                piece(
                    name,
                    take,
                    uid=PodUID(f"{name}-{number}"),
                    pod=f"{name}/{'pretrain' if index == 0 else 'job'}-{number}",
                    memory_mib=take * empty[where].memory_mib // 1000,
                    bound=not (number == (16 if index == 0 else 2) and index % 2 == 0),
                )
            )
        while first < len(room) and room[first] == 0:
            first += 1
    return tuple(replace(d, slices=tuple(s)) for d, s in zip(empty, slices, strict=True))
