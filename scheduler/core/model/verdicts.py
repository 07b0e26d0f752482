"""Why a pod waits, or is in trouble: a stable word, and a sentence whose numbers may move."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Stable words for events, conditions and metric labels."""

    INVALID_REQUEST = "InvalidRequest"
    UNKNOWN_TENANT = "UnknownTenant"
    TENANT_HAS_CHILDREN = "TenantHasChildren"
    FOREIGN_GATE = "ForeignGate"
    GANG_UNKNOWN = "GangUnknown"
    GANG_INCOMPLETE = "GangIncomplete"
    NEVER_FITS = "NeverFits"
    OVER_LIMIT = "OverLimit"
    OVER_GUARANTEE = "OverGuarantee"
    WAITS_FOR_TURN = "WaitsForTurn"
    IN_LINE = "InLine"
    OVER_BUDGET = "OverBudget"
    NO_ROOM = "NoRoom"
    RELEASED = "Released"
    RELEASE_REFUSED = "ReleaseRefused"
    STUCK = "Stuck"
    DEVICE_LOST = "DeviceLost"
    MAKES_WAY = "MakesWay"
    RECLAIMED = "Reclaimed"
    PREEMPTED = "Preempted"
    MOVED = "Moved"
    MAX_RUNTIME = "MaxRuntime"
    GANG_BROKEN = "GangBroken"


SENTENCES = {
    Reason.INVALID_REQUEST: "the request can't be read",
    Reason.UNKNOWN_TENANT: "its tenant does not exist",
    Reason.TENANT_HAS_CHILDREN: "its tenant has tenants below it and takes no pods itself",
    Reason.FOREIGN_GATE: "another scheduling gate holds it",
    Reason.GANG_UNKNOWN: "what says how large its gang is isn't there, or isn't read yet",
    Reason.GANG_INCOMPLETE: "its gang starts together, and not all of it is there",
    Reason.NEVER_FITS: "no node could hold it even if it were empty",
    Reason.OVER_LIMIT: "its tenant is at its limit",
    Reason.OVER_GUARANTEE: "non-preemptible pods fit only inside the guarantee",
    Reason.WAITS_FOR_TURN: "waits for its turn: its tenant has its due",
    Reason.IN_LINE: "its turn comes once those before it are on their way",
    Reason.OVER_BUDGET: "its tenant has used up a budget, and gets what nobody else asks for",
    Reason.NO_ROOM: "no GPU that it may use has enough free now",
    Reason.RELEASED: "its turn has come and its place is reserved, but it is not bound yet",
    Reason.RELEASE_REFUSED: "its turn had come, but its gate could not be taken off",
    Reason.STUCK: "none of the nodes that it was pinned to took it",
    Reason.DEVICE_LOST: "a GPU that it holds failed or vanished",
    Reason.RECLAIMED: "its tenant holds more than its due, and another one has less than its own",
    Reason.PREEMPTED: "a pod of its tenant with a higher priority takes its place",
    Reason.MOVED: "makes room where another pod fits, and has its place kept elsewhere",
    Reason.MAX_RUNTIME: "it has run for as long as it may",
    Reason.GANG_BROKEN: "its gang runs together, and members are missing for too long",
    Reason.MAKES_WAY: "makes way for a newer revision, as its tenant is at its limit",
}
"""The part that stays the same while nothing changes: kube-scheduler loops on a moving text."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a pod waits, or what befell it.

    `detail` carries numbers and what to change; "" where there is no more to say.
    """

    reason: Reason
    detail: str = ""

    @property
    def stable(self) -> str:
        """The sentence without numbers."""
        return SENTENCES[self.reason]

    @property
    def sentence(self) -> str:
        """The whole sentence for people."""
        return f"{self.stable}: {self.detail}" if self.detail else self.stable
