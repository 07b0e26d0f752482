"""What is wrong with cards that still answer: XID errors, and states that only a reset ends."""

from collections.abc import Callable
from typing import Any

APPLICATION_XIDS = frozenset({13, 31, 43, 45, 68, 109})
"""Errors of a program, after which the card is as good as before: what k8s-device-plugin ignores
(internal/rm/health.go), after docs.nvidia.com/deploy/xid-errors."""

_ACTIONS = {
    1: "needs a reset",
    2: "needs a reboot of the machine",
    3: "needs its peer-to-peer traffic drained",
    4: "needs to be drained and reset",
    6: "needs a reset of its bus",
    7: "needs a reboot of the machine",
}
"""By nvmlDeviceGpuRecoveryAction_t. Left out: 0, none, and 5, which is about other machines."""

_WHOLE_CARD = 0xFFFFFFFF
_AT_ONCE = 64
"""Events read in one go: a card in distress may send more than anybody needs."""

_WAIT_MS = 1


class CardHealth:
    """Faults by card, and by GPU instance where only a MIG slice is hit.

    What a card or driver can't tell is no fault: whether it answers at all is asked elsewhere. An
    XID error is remembered for as long as the driver is open, for the driver tells it once. So who
    repaired the card starts the agent anew, which a reset of the card asks for anyway.
    """

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._events = self._ask(nvml.nvmlEventSetCreate)
        self._followed: set[str] = set()
        self._xids: dict[tuple[str, int], str] = {}

    def follow(self, uuid: str, handle: Any) -> None:
        """Be told of the card's errors from now on."""
        if self._events is None or uuid in self._followed:
            return
        kind = self._nvml.nvmlEventTypeXidCriticalError
        if (self._ask(self._nvml.nvmlDeviceGetSupportedEventTypes, handle) or 0) & kind:
            self._ask(self._nvml.nvmlDeviceRegisterEvents, handle, kind, self._events)
            self._followed.add(uuid)

    def listen(self) -> None:
        """Take note of all errors since the last time; waits for none."""
        if not self._followed:
            return
        for _ in range(_AT_ONCE):
            event = self._ask(self._nvml.nvmlEventSetWait, self._events, _WAIT_MS)
            if event is None:
                return
            self._note(event)

    def fault(self, uuid: str, handle: Any, *, instance: int | None = None) -> str:
        """Return what is wrong with a card, or with the slice in its GPU instance; "" if nothing.

        `handle` is the card's.
        """
        hit = self._xids.get((uuid, _WHOLE_CARD))
        if hit is None and instance is not None:
            hit = self._xids.get((uuid, instance))
        return hit or self._lasting(handle)

    def close(self) -> None:
        """Let go of the events."""
        if self._events is not None:
            self._ask(self._nvml.nvmlEventSetFree, self._events)
            self._events = None
            self._followed.clear()

    def _note(self, event: Any) -> None:
        if event.eventType != self._nvml.nvmlEventTypeXidCriticalError:
            return
        uuid = self._ask(self._nvml.nvmlDeviceGetUUID, event.device)
        if uuid is not None and event.eventData not in APPLICATION_XIDS:
            # The first one says more than those that follow from it.
            self._xids.setdefault((uuid, event.gpuInstanceId), f"XID {event.eventData}")

    def _lasting(self, handle: Any) -> str:
        """What the driver itself says for as long as it lasts, whoever asks and however late."""
        field = self._nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION
        values = self._ask(self._nvml.nvmlDeviceGetFieldValues, handle, [field])
        if values and values[0].nvmlReturn == self._nvml.NVML_SUCCESS:
            action = _ACTIONS.get(int(values[0].value.uiVal))
            if action:
                return action
        rows = self._ask(self._nvml.nvmlDeviceGetRemappedRows, handle)
        return "can't replace bad rows of its memory any more" if rows and rows[3] else ""

    def _ask(self, call: Callable[..., Any], *args: Any) -> Any:
        try:
            return call(*args)
        except self._nvml.NVMLError:
            return None
