"""A plain client of the API server for tests: JSON in, JSON out, errors with their status."""

import json
import ssl
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml

JSON = dict[str, Any]

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


class Refused(Exception):
    """The API server said no: `status` is the HTTP status, `message` its sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class Api:
    """Requests as the user of a kubeconfig file. Threads may share one."""

    def __init__(self, kubeconfig: Path, *, timeout: float = 30.0) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        headers = {}
        if "client-certificate" in user:
            context.load_cert_chain(user["client-certificate"], user["client-key"])
        if "tokenFile" in user:
            headers["Authorization"] = f"Bearer {Path(user['tokenFile']).read_text().strip()}"
        self._there = partial(
            httpx.Client,
            base_url=cluster["server"],
            verify=context,
            headers=headers,
            timeout=timeout,
            trust_env=False,
        )
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=32)
        self._http = self._there(limits=limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> JSON:
        return self._ask("GET", path, params=params)

    def items(self, path: str, params: Mapping[str, str] | None = None) -> list[JSON]:
        """Return the items of a list."""
        items: list[JSON] = self.get(path, params)["items"]
        return items

    def find(self, path: str) -> JSON | None:
        """Return an object, None if there's none."""
        try:
            return self.get(path)
        except Refused as error:
            if error.status != 404:
                raise
            return None

    def post(self, path: str, body: object, params: Mapping[str, str] | None = None) -> JSON:
        return self._ask("POST", path, body=body, params=params)

    def ensure(self, path: str, body: object) -> bool:
        """Create an object; whether there was none of that name."""
        try:
            self.post(path, body)
        except Refused as error:
            if error.status != 409:
                raise
            return False
        return True

    def put(self, path: str, body: object, params: Mapping[str, str] | None = None) -> JSON:
        return self._ask("PUT", path, body=body, params=params)

    def patch(
        self,
        path: str,
        body: object,
        kind: str = MERGE,
        params: Mapping[str, str] | None = None,
    ) -> JSON:
        return self._ask("PATCH", path, body=body, kind=kind, params=params)

    def apply(self, path: str, body: object, *, manager: str) -> JSON:
        """Server-side apply as that field manager, by force."""
        params = {"fieldManager": manager, "force": "true"}
        return self.patch(path, body, APPLY, params)

    def delete(self, path: str, body: object = None) -> JSON:
        return self._ask("DELETE", path, body=body)

    def text(self, path: str) -> str:
        """Return the body of a page that isn't JSON, such as /readyz or /metrics."""
        answer = self._http.get(path)
        if answer.is_error:
            raise Refused(answer.status_code, answer.text)
        return answer.text

    def watch(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        idle_seconds: float | None = None,
    ) -> Iterator[JSON]:
        """Yield the events of a watch until the server ends it.

        After `idle_seconds` without any it raises httpx.ReadTimeout. Its connection is its own: one
        that is left in the middle is closed by the collector, perhaps while this very thread holds
        the lock of the others.
        """
        limits = httpx.Timeout(30.0, read=idle_seconds)
        query = {"watch": "true", **(params or {})}
        with (
            self._there() as http,
            http.stream("GET", path, params=query, timeout=limits) as answer,
        ):
            if answer.is_error:
                answer.read()
                raise _refused(answer)
            for line in answer.iter_lines():
                yield json.loads(line)

    def _ask(
        self,
        verb: str,
        path: str,
        *,
        body: object = None,
        kind: str = "application/json",
        params: Mapping[str, str] | None = None,
    ) -> JSON:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind}
        answer = self._http.request(verb, path, content=content, params=params, headers=headers)
        if answer.is_error:
            raise _refused(answer)
        found: JSON = answer.json()
        return found


def _refused(answer: httpx.Response) -> Refused:
    try:
        return Refused(answer.status_code, answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return Refused(answer.status_code, answer.text)
