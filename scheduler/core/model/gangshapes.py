"""How many pods start together, as objects say it that make pods or stand for them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from scheduler.core.model.errors import InvalidInput, InvalidRequest
from scheduler.core.model.gangs import MOST_MEMBERS
from scheduler.core.model.requestreader import parse_request
from scheduler.core.model.stored import Stored, mapping, objects

ANY = "*"
"""In a path: every entry of the list or object there."""


@dataclass(frozen=True, slots=True)
class Part:
    """Pods of one template: how many there are at one time, and whether they ask for GPUs.

    `steady` False: for one that has ended another one is made, which works on something else.
    """

    name: str
    pods: int
    asks: bool = True
    steady: bool = True


@dataclass(frozen=True, slots=True)
class Shape:
    """What an object says of its pods. Those that ask for no GPU are no part of a gang.

    `apart`: each part starts by itself, as the next one is only made once it runs. `together`
    False: its pods start one by one.
    """

    parts: tuple[Part, ...]
    apart: bool = False
    together: bool = True

    def size(self, part: str) -> int:
        """Return how many pods start together with one of that part that asks for GPUs.

        Its template needn't say so: what asks for them may be put on pods as they are made.
        """
        among = [p for p in self.parts if p.steady and (not self.apart or p.name == part)]
        asking = [each for each in among if each.asks or each.name == part]
        return max(sum(each.pods for each in asking or among), 1)

    def steady(self, part: str) -> bool:
        """Whether pods of that part are the same ones from their start to their end."""
        return all(each.steady for each in self.parts if each.name == part)

    def of_total(self, total: int) -> "Shape":
        """Return it with so many pods in all: what is more or less of them is of the last part."""
        *others, last = self.parts
        left = max(total - sum(each.pods for each in others), 0)
        return replace(self, parts=(*others, replace(last, pods=left)))


ShapeOf = Callable[[Stored], Shape]
"""Reads an object; raises InvalidRequest, in words that go on after its name."""


def of_pod_group(group: Stored) -> Shape:
    """Kubernetes' PodGroup: k8s.io/api/scheduling/v1beta1 PodGroupSchedulingPolicy."""
    policy = mapping(mapping(group, "spec"), "schedulingPolicy")
    if "gang" not in policy:
        return Shape((), together=False)
    return Shape((Part("", _number(mapping(policy, "gang"), "minCount")),))


def of_job(job: Stored) -> Shape:
    """Kubernetes' Job: k8s.io/api/batch/v1 JobSpec."""
    return Shape((_part("", mapping(job, "spec"), 1),))


def of_job_set(job_set: Stored) -> Shape:
    """sigs.k8s.io/jobset: api/jobset/v1alpha2 JobSetSpec.

    With a start in order, or with dependencies, a Job is only made once others run or have ended.
    """
    spec = mapping(job_set, "spec")
    jobs = objects(spec, "replicatedJobs")
    in_order = mapping(spec, "startupPolicy").get("startupPolicyOrder") == "InOrder"
    return Shape(tuple(map(_replicated, jobs)), in_order or any("dependsOn" in job for job in jobs))


LEADER, WORKERS = "leader", "workers"


def of_leader_worker_set(group: Stored) -> Shape:
    """sigs.k8s.io/lws: api/leaderworkerset/v1, one group of it. Its leader may start first."""
    spec = mapping(group, "spec")
    inner = mapping(spec, "leaderWorkerTemplate")
    workers = mapping(inner, "workerTemplate")
    leader = Part(LEADER, 1, _asks(mapping(inner, "leaderTemplate") or workers))
    rest = Part(WORKERS, max(_number(inner, "size") - 1, 0), _asks(workers))
    return Shape((leader, rest), spec.get("startupPolicy") == "LeaderReady")


@dataclass(frozen=True, slots=True)
class Paths:
    """Where a kind of objects says how many pods there are; dots part the steps of a path.

    `parts`: to what makes pods that are alike. `counts`: from there to whole numbers, which are
    multiplied; one that is missing is 1. `template`: from there to their template, "" for none.
    """

    parts: tuple[str, ...]
    counts: tuple[str, ...]
    template: str

    def shape(self, owner: Stored) -> Shape:
        """Read an object; raise as any ShapeOf."""
        found = [part for path in self.parts for part in self._parts(owner, path)]
        if not found:
            raise InvalidRequest(f"has nothing at {' or '.join(self.parts)}; see gangs.owners")
        return Shape(tuple(found))

    def _parts(self, owner: Stored, path: str) -> Iterator[Part]:
        for entry in _at(owner, path.split(".")):
            pods = 1
            for count in self.counts:
                *steps, key = count.split(".")
                pods *= next((_number(above, key) for above in _at(entry, steps)), 1)
            template = next(_at(entry, self.template.split(".")), None) if self.template else None
            yield Part(path, pods, template is None or _asks(template))


def _at(found: object, steps: list[str]) -> Iterator[Stored]:
    """Yield the objects at the end of a path."""
    if not steps:
        if isinstance(found, Mapping):
            yield found
        return
    step, *further = steps
    within: Iterable[object] = ()
    if isinstance(found, Mapping):
        within = found.values() if step == ANY else (found.get(step),)
    elif isinstance(found, list) and step == ANY:
        within = found
    for each in within:
        yield from _at(each, further)


def _replicated(job: Stored) -> Part:
    inner = mapping(mapping(job, "template"), "spec")
    return _part(str(job.get("name")), inner, _number(job, "replicas"))


def _part(name: str, job: Stored, jobs: int) -> Part:
    """Pods of so many Jobs: of each no more at one time than are to complete."""
    most = _number(job, "parallelism")
    wanted = most if job.get("completions") is None else _number(job, "completions")
    asks = _asks(mapping(job, "template"))
    return Part(name, jobs * min(most, wanted), asks, steady=wanted <= most)


def _asks(template: Stored) -> bool:
    """Whether pods of a template ask for GPUs. One that can't be read is refused when it comes."""
    try:
        return parse_request(template).devices > 0
    except InvalidInput:
        return True


def _number(entry: Stored, key: str) -> int:
    """Read how many; 1 where it says nothing, as Kubernetes does."""
    found = entry.get(key)
    if found is None:
        return 1
    if type(found) is not int or not 0 <= found <= MOST_MEMBERS:
        raise InvalidRequest(f"says {found!r} for {key}; write 0 to {MOST_MEMBERS}")
    return found
