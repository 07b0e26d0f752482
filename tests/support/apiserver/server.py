"""A fake API server that speaks real HTTP: what is stored, watched, refused, and what goes wrong.

It knows resources by their paths only, so every resource is there from the start.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any

from aiohttp import web

from scheduler.kube.resources import Resource
from tests.support.apiserver import refusals, wire
from tests.support.apiserver.faults import Fault, Faults, Gate
from tests.support.apiserver.refusals import Refused
from tests.support.apiserver.selectors import matcher
from tests.support.apiserver.store import Key, Store
from tests.support.apiserver.watches import End, Watch
from tests.support.apiserver.wire import Seen, Target
from tests.support.apiserver.writes import Writes

JSON = dict[str, Any]

_STALE = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You can start a new list without the continue parameter."
)


class FakeApi:
    """`async with FakeApi() as api:` serves it at `api.url`; what is stored survives a restart.

    `tokens`: the bearer tokens it knows; None lets everybody in. `gone_at_start` answers a watch
    from a forgotten version with 410 itself, instead of an ERROR event.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.store, self.faults = Store(), Faults()
        self.requests: list[Seen] = []
        self.tokens: set[str] | None = None
        self.gone_at_start = False
        self.tls = tls
        self.port = 0
        self._writes = Writes(self.store)
        self._watches: list[Watch] = []
        self._pages: dict[str, tuple[str, list[JSON]]] = {}
        self._runner: web.AppRunner | None = None
        self._news = asyncio.Condition()

    async def __aenter__(self) -> "FakeApi":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, on the port of the last time if there was one."""
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(
            app, handle_signals=False, handler_cancellation=True, shutdown_timeout=0.5
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls)
        await site.start()
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Break off everything and listen no more."""
        self.end_watches("cut")
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # What is stored, without a request.

    def put(self, resource: Resource, item: JSON) -> JSON:
        """Create or replace an object, as somebody else would."""
        key = _key(resource, item["metadata"].get("name"), item["metadata"].get("namespace"))
        if key in self.store.objects:
            return self.store.update(key, item)
        return self.store.create(key, item)

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> JSON:
        return self.store.get(_key(resource, name, namespace))

    def remove(self, resource: Resource, name: str, namespace: str | None = None) -> None:
        """Remove at once, as a kubelet does at the end."""
        self.store.remove(_key(resource, name, namespace))

    def compact(self) -> None:
        """Forget the past: watches from it, and lists that are half read, get 410."""
        self.store.compact()
        self._pages.clear()

    # What goes wrong.

    def fail(self, status: int, **more: Any) -> None:
        """Answer the next request that fits so; see Fault."""
        self.faults.add(Fault(status=status, **more))

    def drop(self, **more: Any) -> None:
        """Drop the connection of the next request that fits; see Fault."""
        self.faults.add(Fault(**more))

    def hold(self, **more: Any) -> Gate:
        """Hold the next request that fits until the gate is opened; see Fault."""
        gate = Gate()
        self.faults.add(Fault(gate=gate, **more))
        return gate

    # What watches are sent.

    @property
    def watching(self) -> int:
        """How many watches are open."""
        return len(self._watches)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        server = self._runner.server if self._runner else None
        return len(server.connections) if server else 0

    def peers(self) -> set[int]:
        """Ports of the clients whose connections requests came over."""
        return {seen.peer for seen in self.requests}

    def end_watches(self, how: End = "ended") -> None:
        """End all watches: "ended" as at their time-out, "cut" in the middle of a line."""
        for watch in self._watches:
            watch.end(how)

    def bookmark(self) -> None:
        for watch in self._watches:
            watch.bookmark()

    def send(self, event: JSON) -> None:
        """Send an event of a test's own to all watches."""
        for watch in self._watches:
            watch.send(event)

    async def until(self, so: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until something is so; it is looked at whenever a request or watch comes or goes."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(so)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    # Requests.

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        seen = await wire.read(request)
        self.requests.append(seen)
        await self._tell()
        fault = self.faults.take(seen.verb, seen.path)
        try:
            if fault is not None and fault.gate is not None:
                await fault.gate.pass_through()
                fault = None
            if fault is None or fault.processed:
                answer = await self._answer(request, seen)
            if fault is not None:
                return wire.spoil(request, fault)
            return answer
        except Refused as refused:
            return wire.refusal(refused)
        finally:
            await self._tell()

    async def _answer(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        if (
            self.tokens is not None
            and seen.authorization.removeprefix("Bearer ") not in self.tokens
        ):
            raise Refused(401, "Unauthorized", "Unauthorized")
        target = wire.target_of(seen.path)
        if seen.verb == "GET" and not target.key.name:
            if seen.watches:
                return await self._watch(request, target, seen.query)
            return wire.answer(self._list(target, seen.query))
        created, found = seen.verb == "POST", self._one(seen, target)
        if seen.wants_metadata:
            about = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
            found = {**about, "metadata": found["metadata"]}
        return wire.answer(found, 201 if created else 200)

    def _one(self, seen: Seen, target: Target) -> JSON:
        key, sub = target.key, target.sub
        match seen.verb, sub:
            case "GET", _:
                return self.store.get(key)
            case "POST", "binding":
                self._writes.bind(key, seen.body)
            case "POST", "eviction":
                self._writes.evict(key, seen.body)
            case "POST", "" if not key.name:
                return self._writes.create(key, seen.body)
            case "PUT", _:
                return self._writes.replace(key, seen.body, sub)
            case "PATCH", _ if "apply" in seen.kind:
                return self._writes.apply(key, seen.body, seen.query, sub)
            case "PATCH", _:
                return self._writes.patch(key, seen.body, seen.kind, sub)
            case "DELETE", "" if key.name:
                return self._writes.delete(key, seen.body or {})
            case _:
                raise Refused(405, "MethodNotAllowed", "the server does not allow this method")
        return {"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201}

    def _list(self, target: Target, query: dict[str, str]) -> JSON:
        if token := query.get("continue"):
            if token not in self._pages:
                raise refusals.expired(_STALE)
            version, items = self._pages[token]
        else:
            matches = matcher(query.get("labelSelector", ""), query.get("fieldSelector", ""))
            version = str(self.store.version)
            found = self.store.items(target.key.collection, target.namespace)
            items = [item for item in found if matches(item)]
        limit = int(query.get("limit") or 0) or len(items)
        about = {"resourceVersion": version}
        if rest := items[limit:]:
            about["continue"] = f"{version}-{len(self._pages)}"
            self._pages[about["continue"]] = (version, rest)
        return {"kind": "List", "apiVersion": "v1", "metadata": about, "items": items[:limit]}

    async def _watch(
        self, request: web.Request, target: Target, query: dict[str, str]
    ) -> web.StreamResponse:
        version = int(query.get("resourceVersion") or 0)
        if version > self.store.version:
            text = f"Too large resource version: {version}, current: {self.store.version}"
            raise Refused(504, "Timeout", text, retry_after=1)
        if version and self.gone_at_start:
            self.store.since(version)
        watch = Watch(self.store, target.key.collection, target.namespace, query)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        self._watches.append(watch)
        await self._tell()
        try:
            async with contextlib.aclosing(watch.lines()) as lines:
                async for line in lines:
                    await response.write(line)
                    if not line.endswith(b"\n"):
                        wire.abort(request)
        except ConnectionError:
            pass
        finally:
            self._watches.remove(watch)
        return response


def _key(resource: Resource, name: str | None, namespace: str | None) -> Key:
    return Key(resource.list_path(), namespace or "", name or "")
