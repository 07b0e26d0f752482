"""An API server's client that notes what is sent, and answers as it was told to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scheduler.kube.client import JSON, Patch
from scheduler.kube.errors import api_error


@dataclass(frozen=True)
class Sent:
    verb: str
    path: str
    body: Any = None
    kind: Patch | None = None
    params: Mapping[str, str] | None = None


@dataclass
class Scripted:
    """Answers each verb from its list, and with {} once that is empty; errors are raised."""

    answers: dict[str, list[JSON | Exception]] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)

    def then(self, verb: str, *answers: JSON | Exception) -> "Scripted":
        self.answers.setdefault(verb, []).extend(answers)
        return self

    def paths(self, verb: str = "") -> list[str]:
        return [each.path for each in self.sent if verb in each.verb]

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> JSON:
        return self._answer(Sent("GET", path, params=params))

    async def post(self, path: str, body: Any, params: Mapping[str, str] | None = None) -> JSON:
        return self._answer(Sent("POST", path, body, params=params))

    async def patch(
        self,
        path: str,
        body: Any,
        kind: Patch,
        params: Mapping[str, str] | None = None,
        *,
        brief: bool = False,
    ) -> JSON:
        return self._answer(Sent("PATCH", path, body, kind, params))

    async def delete(self, path: str, body: Any | None = None) -> JSON:
        return self._answer(Sent("DELETE", path, body))

    def _answer(self, sent: Sent) -> JSON:
        self.sent.append(sent)
        waiting = self.answers.get(sent.verb)
        answer: JSON | Exception = waiting.pop(0) if waiting else {}
        if isinstance(answer, Exception):
            raise answer
        return answer


def refusal(status: int, message: str = "no") -> Exception:
    """Return the error that a client raises for such an answer."""
    body = b'{"kind": "Status", "message": "%s"}' % message.encode()
    return api_error(status, body, {})
