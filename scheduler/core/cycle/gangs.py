"""Gangs in a round: who starts together, who waits for the others, and who joins later."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scheduler.core.cycle.kinds import Kind, Kinds
from scheduler.core.cycle.topology import Places
from scheduler.core.ledger.columns import Columns
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.amounts import format_gpus
from scheduler.core.model.ids import NodeName, PodUID
from scheduler.core.model.names import PREEMPTIBLE, PREFERRED_TOPOLOGY, REQUIRED_TOPOLOGY
from scheduler.core.model.pods import Pod
from scheduler.core.model.running import Running
from scheduler.core.model.verdicts import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Present:
    """Members of a gang that have a place: `running` are those that may be looked at, by UID.

    `held` have one that they keep: whoever is about to go is as good as gone, and who takes its
    place must not start alone. `finished` are through with their work. `nodes`: where those are
    that keep their place.
    """

    held: int = 0
    finished: int = 0
    running: tuple[Running, ...] = ()
    going: bool = False
    nodes: tuple[NodeName, ...] = ()

    def missing(self, size: int) -> int:
        """How many more it takes; 0 or less: it is whole."""
        return size - self.held - self.finished


NOBODY = Present()


def present(snapshot: Snapshot) -> dict[str, Present]:
    """Return who is there of each gang of which anybody is."""
    found = {}
    for name in sorted(snapshot.gathered):
        gathered = snapshot.gathered[name]
        running = tuple(snapshot.find(gathered.placed))
        ending = sum(each.ending for each in running)
        held = len(gathered.placed) - ending
        nodes = snapshot.nodes_of(gathered.placed)
        found[name] = Present(held, gathered.finished, running, ending > 0, nodes)
    return found


@dataclass(slots=True)
class Gangs:
    """By the pod that stands in line for them: `together` start with it, at once or not at all.

    It is the first of them. `behind` join later: they stand in line once those have their places.
    `present`: who of a gang is there already. `places` and `columns`: where they may sit.
    """

    kinds: Kinds
    places: Places
    columns: Columns
    present: Mapping[str, Present] = field(default_factory=dict)
    together: dict[PodUID, tuple[Pod, ...]] = field(default_factory=dict)
    behind: dict[PodUID, tuple[Pod, ...]] = field(default_factory=dict)

    def members(self, pod: Pod) -> tuple[Pod, ...]:
        """Return those that start with the pod, itself among them."""
        return self.together.get(pod.uid, (pod,))

    def all(self, pod: Pod) -> tuple[Pod, ...]:
        """Return the same with those that join later."""
        return (*self.members(pod), *self.behind.get(pod.uid, ()))

    def near(self, pod: Pod) -> tuple[NodeName, ...]:
        """Return where those of the pod's gang are that have their places already."""
        return self.present.get(pod.gang.name, NOBODY).nodes if pod.gang else ()

    def beside(self, level: str, nodes: Iterable[NodeName]) -> NodeName | None:
        """Return the first of the nodes that has the label; None: no such node is known."""
        known = (node for node in nodes if self.places.domain_of(node, level, self.columns))
        return next(known, None)

    def stay_near(self, pods: Iterable[Pod], nodes: Sequence[NodeName]) -> None:
        """Let those that have to be near each other go where the first of them is."""
        for pod in pods:
            level = pod.gang.level if pod.gang else ""
            node = self.beside(level, nodes) if level else None
            domain = self.places.domain_of(node, level, self.columns) if node else None
            if domain is not None:
                self.kinds.narrow(pod, domain)

    def kind(self, pod: Pod) -> Kind:
        """Return what the pod asks for together with those that it stands for."""
        members = self.together.get(pod.uid)
        return self.kinds.of(pod) if members is None else self.kinds.of_all(members)


def line_up(gangs: Gangs, pods: Sequence[Pod]) -> tuple[list[Pod], list[tuple[Pod, Verdict]]]:
    """Return who stands in line, in the order of `pods`, and who can't start, with the verdict.

    Members of a gang that isn't whole stand behind its first one. One that is whole already takes
    more of them as any other pods.
    """
    of = defaultdict[str, list[Pod]](list)
    for pod in pods:
        if pod.gang is not None:
            of[pod.gang.name].append(pod)
    if not of:
        return list(pods), []
    apart, refused = set[PodUID](), list[tuple[Pod, Verdict]]()
    for name, members in of.items():
        known = gangs.present.get(name, NOBODY)
        gangs.stay_near(members, known.nodes)
        size = max(size_of(members), size_of(each.pod for each in known.running))
        missing = known.missing(size)
        why = _unknown(members) or _nowhere_near(gangs, members, known.nodes)
        if missing <= 0 and why is None:
            continue
        apart.update(pod.uid for pod in members)
        why = why or _refusal(gangs, members, missing, size)
        if why is not None:
            refused += ((pod, why) for pod in members)
            continue
        lead = members[0]
        apart.discard(lead.uid)
        gangs.together[lead.uid] = tuple(members[:missing])
        gangs.behind[lead.uid] = tuple(members[missing:])
    return [pod for pod in pods if pod.uid not in apart], refused


def _unknown(members: Iterable[Pod]) -> Verdict | None:
    """Return why nobody knows how large their gang is; None if all of them do."""
    why = (pod.gang.unknown for pod in members if pod.gang is not None and pod.gang.unknown)
    return next((Verdict(Reason.GANG_UNKNOWN, each) for each in why), None)


def _nowhere_near(
    gangs: Gangs, members: Iterable[Pod], nodes: Sequence[NodeName]
) -> Verdict | None:
    """Return why nobody can be near those of a gang that are on these nodes; None if they can."""
    levels = {pod.gang.level for pod in members if pod.gang is not None and pod.gang.level}
    for level in sorted(levels if nodes else ()):
        if gangs.beside(level, nodes) is None:
            what = f"its gang has to be on nodes with the same {level}"
            return Verdict(
                Reason.NO_ROOM,
                f"{what}, and of {nodes[0]}, where it is already, no label {level} is known; "
                "label that node, or delete those pods",
            )
    return None


def _refusal(gangs: Gangs, members: Sequence[Pod], missing: int, size: int) -> Verdict | None:
    """Return why a gang that lacks so many can't start with these; None if it can."""
    if len(members) < missing:
        there = f"{size - missing + len(members)} of {size} pods are there; create the others"
        return Verdict(Reason.GANG_INCOMPLETE, there)
    core = members[:missing]
    if len({pod.preemptible for pod in core}) > 1:
        # What may not be stopped has to fit into the guarantee, all of it or nothing.
        what = f"of its gang some set {PREEMPTIBLE} and some don't; say the same on all its pods"
        return Verdict(Reason.INVALID_REQUEST, what)
    if len({pod.gang.topology for pod in core if pod.gang}) > 1:
        what = (
            f"of its gang not all say the same about {REQUIRED_TOPOLOGY} or {PREFERRED_TOPOLOGY}; "
            "say it on all its pods"
        )
        return Verdict(Reason.INVALID_REQUEST, what)
    never = _never_fits(gangs, core)
    return Verdict(Reason.NEVER_FITS, never) if never else None


def size_of(members: Iterable[Pod]) -> int:
    """Return how many start together: where they disagree, the most that any of them says."""
    return max((pod.gang.size for pod in members if pod.gang is not None), default=0)


def _never_fits(gangs: Gangs, core: Sequence[Pod]) -> str:
    """Say what to change about a gang that an empty cluster couldn't hold; "" for one that fits.

    Kind by kind, and the GPUs of all: whether each kind leaves room for the others isn't looked at.
    """
    kinds, level = gangs.kinds, core[0].gang.level if core[0].gang else ""
    for kind, count in Counter(map(kinds.of, core)).items():
        most = kinds.most(kind, count)
        if most >= count and level:
            most = gangs.places.most(kind, level)
            if most < count:
                return (
                    f"its gang takes {count} × {kind.request.describe()} at once on nodes with the "
                    f"same {level}, and the largest such part of the cluster has room for {most} "
                    "were it empty; make it smaller, or ask for a wider one"
                )
        if most < count:
            return (
                f"its gang takes {count} × {kind.request.describe()} at once, and all nodes "
                f"together have room for {most} were they empty; make it smaller"
            )
    there = kinds.milli_for(core)
    if there is not None:
        asked = sum(pod.request.total_milli for pod in core)
        return (
            f"its gang takes {format_gpus(asked)} GPUs at once, and all nodes together have "
            f"{format_gpus(there)}; make it smaller"
        )
    return ""
