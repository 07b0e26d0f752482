"""What client and reflector rely on, asked of the fake API server and of a real one alike.

A test class derives from these and brings the fixtures `client`, `namespace` (empty, for the test
alone) and `forget` (has the server forget the past; open watches may break off).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from scheduler.kube.client import JSON, Client, Patch
from scheduler.kube.errors import (
    ApiError,
    Conflict,
    Gone,
    Invalid,
    NotFound,
    Unreachable,
    event_error,
)
from scheduler.kube.paging import list_all
from scheduler.kube.reflector import Reflector
from scheduler.kube.resources import CONFIG_MAPS, LEASES, PODS

Forget = Callable[[], None]

NO_UID = "00000000-0000-4000-8000-00000000dead"


def config(name: str, **data: str) -> JSON:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str, *gates: str) -> JSON:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "schedulerName": "nobody",
            "schedulingGates": [{"name": gate} for gate in gates],
            "containers": [{"name": "main", "image": "none"}],
        },
    }


def lease(name: str, holder: str) -> JSON:
    about = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": {"name": name}}
    return {**about, "spec": {"holderIdentity": holder}}


def version(item: JSON) -> str:
    return str(item["metadata"]["resourceVersion"])


def name(item: JSON) -> str:
    return str(item["metadata"]["name"])


class Mirror:
    """A sink: what is there by name, and how often it was all replaced."""

    def __init__(self) -> None:
        self.items: dict[str, JSON] = {}
        self.replaced = 0
        self.events: list[tuple[str, str]] = []
        self._news = asyncio.Event()

    def replace(self, items: Sequence[JSON]) -> None:
        self.items = {name(item): item for item in items}
        self.replaced += 1
        self._news.set()

    def see(self, event: str, item: JSON) -> None:
        self.events.append((event, name(item)))
        if event == "DELETED":
            self.items.pop(name(item), None)
        else:
            self.items[name(item)] = item
        self._news.set()

    async def until(self, so: Callable[[], bool], seconds: float = 20.0) -> None:
        """Wait until something is so; it is looked at whenever this sink was told anything."""
        async with asyncio.timeout(seconds):
            while not so():
                self._news.clear()
                await self._news.wait()


@contextlib.asynccontextmanager
async def running(reflector: Reflector) -> AsyncIterator[asyncio.Task[None]]:
    """Run it while the block lasts."""
    task = asyncio.create_task(reflector.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def events(client: Client, path: str, count: int, **params: str) -> list[JSON]:
    """Return the first events of a watch."""
    found: list[JSON] = []
    async with client.stream(path, {"watch": "1", "timeoutSeconds": "20", **params}) as stream:
        async for event in stream:
            found.append(event)
            if len(found) == count:
                break
    return found


class ClientContract:
    """Verbs, patches, preconditions, lists and watches."""

    async def test_an_object_is_made_read_and_deleted(self, client: Client, namespace: str) -> None:
        path = CONFIG_MAPS.path("c", namespace)
        made = await client.post(CONFIG_MAPS.list_path(namespace), config("c", a="1"))

        assert await client.get(path) == made
        await client.delete(path)
        with pytest.raises(NotFound) as refused:
            await client.get(path)

        assert refused.value.status == 404
        assert refused.value.message == 'configmaps "c" not found'

    async def test_what_is_there_can_not_be_made_again(
        self, client: Client, namespace: str
    ) -> None:
        path = CONFIG_MAPS.list_path(namespace)
        await client.post(path, config("c"))

        with pytest.raises(Conflict) as refused:
            await client.post(path, config("c"))

        assert refused.value.reason == "AlreadyExists"

    async def test_a_merge_patch_removes_by_null(self, client: Client, namespace: str) -> None:
        await client.post(CONFIG_MAPS.list_path(namespace), config("c", a="1", b="2"))

        changed = await client.patch(
            CONFIG_MAPS.path("c", namespace), {"data": {"a": None, "c": "3"}}, Patch.MERGE
        )

        assert changed["data"] == {"b": "2", "c": "3"}

    async def test_a_brief_patch_is_answered_with_metadata_that_is_up_to_date(
        self, client: Client, namespace: str
    ) -> None:
        made = await client.post(CONFIG_MAPS.list_path(namespace), config("c", a="1"))
        path = CONFIG_MAPS.path("c", namespace)

        told = await client.patch(path, {"data": {"a": "2"}}, Patch.MERGE, brief=True)

        assert "data" not in told
        stored = await client.get(path)
        assert stored["data"] == {"a": "2"}
        for key in ("uid", "resourceVersion"):
            assert told["metadata"][key] == stored["metadata"][key]
        assert made["metadata"]["resourceVersion"] != told["metadata"]["resourceVersion"]

    async def test_a_strategic_patch_takes_one_gate_and_leaves_the_others(
        self, client: Client, namespace: str
    ) -> None:
        made = await client.post(PODS.list_path(namespace), pod("p", "x.io/ours", "x.io/theirs"))
        gates = [{"$patch": "delete", "name": "x.io/ours"}]

        changed = await client.patch(
            PODS.path("p", namespace),
            {"metadata": {"uid": made["metadata"]["uid"]}, "spec": {"schedulingGates": gates}},
            Patch.STRATEGIC,
        )

        assert changed["spec"]["schedulingGates"] == [{"name": "x.io/theirs"}]
        assert changed["spec"]["containers"][0]["name"] == "main"

    async def test_a_json_patch_tests_before_it_changes(
        self, client: Client, namespace: str
    ) -> None:
        made = await client.post(CONFIG_MAPS.list_path(namespace), config("c", a="1"))
        path = CONFIG_MAPS.path("c", namespace)

        def change(expected: str) -> list[JSON]:
            return [
                {"op": "test", "path": "/data/a", "value": expected},
                {"op": "replace", "path": "/data/a", "value": "2"},
            ]

        with pytest.raises(Invalid):
            await client.patch(path, change("other"), Patch.JSON)
        assert await client.get(path) == made
        changed = await client.patch(path, change("1"), Patch.JSON)
        assert changed["data"] == {"a": "2"}

    async def test_an_apply_creates_and_changes_and_meets_other_managers(
        self, client: Client, namespace: str
    ) -> None:
        path, ours = LEASES.path("l", namespace), {"fieldManager": "ours"}

        await client.patch(path, lease("l", "a"), Patch.APPLY, ours)
        changed = await client.patch(path, lease("l", "b"), Patch.APPLY, ours)
        with pytest.raises(Conflict, match="conflict with"):
            await client.patch(path, lease("l", "c"), Patch.APPLY, {"fieldManager": "theirs"})

        assert changed["spec"]["holderIdentity"] == "b"

    @pytest.mark.parametrize("kind", [Patch.MERGE, Patch.STRATEGIC])
    async def test_a_patch_of_an_older_version_is_a_conflict(
        self, client: Client, namespace: str, kind: Patch
    ) -> None:
        made = await client.post(PODS.list_path(namespace), pod("p", "x.io/gate"))
        path = PODS.path("p", namespace)
        newer = await client.patch(path, {"metadata": {"labels": {"new": "1"}}}, Patch.MERGE)
        change = {"metadata": {"resourceVersion": version(made), "labels": {"new": "2"}}}

        with pytest.raises(Conflict, match="the object has been modified"):
            await client.patch(path, change, kind)

        assert await client.get(path) == newer

    @pytest.mark.parametrize("kind", [Patch.MERGE, Patch.STRATEGIC])
    async def test_a_patch_of_another_uid_changes_nothing(
        self, client: Client, namespace: str, kind: Patch
    ) -> None:
        made = await client.post(PODS.list_path(namespace), pod("p", "x.io/gate"))
        path = PODS.path("p", namespace)

        with pytest.raises(Invalid, match="field is immutable"):
            await client.patch(path, {"metadata": {"uid": NO_UID, "labels": {"a": "b"}}}, kind)

        assert await client.get(path) == made

    async def test_a_put_of_an_older_version_or_another_uid_is_a_conflict(
        self, client: Client, namespace: str
    ) -> None:
        made = await client.post(CONFIG_MAPS.list_path(namespace), config("c"))
        path = CONFIG_MAPS.path("c", namespace)
        newer = await client.put(path, {**made, "data": {"a": "1"}})

        with pytest.raises(Conflict, match="the object has been modified"):
            await client.put(path, {**made, "data": {"a": "2"}})
        with pytest.raises(Conflict, match="Precondition failed: UID"):
            await client.put(path, {**newer, "metadata": {**newer["metadata"], "uid": NO_UID}})

        assert await client.get(path) == newer

    async def test_a_patch_that_changes_nothing_writes_nothing(
        self, client: Client, namespace: str
    ) -> None:
        made = await client.post(CONFIG_MAPS.list_path(namespace), config("c", a="1"))

        same = await client.patch(
            CONFIG_MAPS.path("c", namespace), {"data": {"a": "1"}}, Patch.MERGE
        )

        assert version(same) == version(made)

    async def test_a_deletion_may_name_the_uid(self, client: Client, namespace: str) -> None:
        made = await client.post(CONFIG_MAPS.list_path(namespace), config("c"))
        path = CONFIG_MAPS.path("c", namespace)

        with pytest.raises(Conflict, match="does not match the UID in record"):
            await client.delete(path, {"preconditions": {"uid": NO_UID}})
        await client.delete(path, {"preconditions": {"uid": made["metadata"]["uid"]}})

    async def test_a_binding_carries_node_and_annotations_in_one_event(
        self, client: Client, namespace: str
    ) -> None:
        made = await client.post(PODS.list_path(namespace), pod("p"))
        about = {"name": "p", "uid": made["metadata"]["uid"], "annotations": {"x.io/gpu": "0"}}
        binding = {"metadata": about, "target": {"kind": "Node", "name": "n"}}

        await client.post(PODS.path("p", namespace, "binding"), binding)
        with pytest.raises(Conflict, match='already assigned to node "n"'):
            await client.post(PODS.path("p", namespace, "binding"), binding)

        path = PODS.list_path(namespace)
        first = (await events(client, path, 1, resourceVersion=version(made)))[0]["object"]
        assert first["spec"]["nodeName"] == "n"
        assert first["metadata"]["annotations"]["x.io/gpu"] == "0"

    async def test_a_gated_pod_or_one_of_another_uid_is_not_bound(
        self, client: Client, namespace: str
    ) -> None:
        await client.post(PODS.list_path(namespace), pod("p", "x.io/gate"))
        path, target = PODS.path("p", namespace, "binding"), {"kind": "Node", "name": "n"}

        with pytest.raises(Conflict, match=r"has non-empty \.spec\.schedulingGates"):
            await client.post(path, {"metadata": {"name": "p"}, "target": target})
        with pytest.raises(Conflict, match="Precondition failed: UID in precondition"):
            await client.post(path, {"metadata": {"name": "p", "uid": NO_UID}, "target": target})

    async def test_an_evicted_pod_of_no_node_is_gone(self, client: Client, namespace: str) -> None:
        made = await client.post(PODS.list_path(namespace), pod("p"))
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": "p"},
            "deleteOptions": {"preconditions": {"uid": made["metadata"]["uid"]}},
        }

        await client.post(PODS.path("p", namespace, "eviction"), eviction)

        with pytest.raises(NotFound):
            await client.post(PODS.path("p", namespace, "eviction"), eviction)

    async def test_status_is_written_by_its_own_path_only(
        self, client: Client, namespace: str
    ) -> None:
        await client.post(PODS.list_path(namespace), pod("p"))
        status = {"status": {"message": "hello"}}

        plain = await client.patch(PODS.path("p", namespace), status, Patch.MERGE)
        written = await client.patch(PODS.path("p", namespace, "status"), status, Patch.MERGE)

        assert "message" not in plain["status"]
        assert written["status"]["message"] == "hello"

    @pytest.mark.parametrize("page", [1, 2, 100])
    async def test_a_list_in_pages_is_whole(
        self, client: Client, namespace: str, page: int
    ) -> None:
        path = CONFIG_MAPS.list_path(namespace)
        for number in range(5):
            await client.post(path, config(f"c{number}", mine="1"))

        items, at = await list_all(client, path, {"fieldSelector": "metadata.name!=c3"}, page=page)

        assert [name(item) for item in items if "mine" in (item.get("data") or {})] == [
            "c0",
            "c1",
            "c2",
            "c4",
        ]
        assert int(at) > 0

    async def test_a_watch_goes_on_from_any_version_that_is_known(
        self, client: Client, namespace: str
    ) -> None:
        path, one = CONFIG_MAPS.list_path(namespace), {"fieldSelector": "metadata.name=c"}
        _, start = await list_all(client, path)
        made = await client.post(path, config("c"))
        changed = await client.patch(
            CONFIG_MAPS.path("c", namespace), {"data": {"a": "1"}}, Patch.MERGE
        )
        await client.delete(CONFIG_MAPS.path("c", namespace))

        found = await events(client, path, 3, resourceVersion=start, **one)
        later = await events(client, path, 1, resourceVersion=version(changed), **one)

        assert [event["type"] for event in found] == ["ADDED", "MODIFIED", "DELETED"]
        assert version(found[0]["object"]) == version(made)
        assert later == found[2:]

    async def test_an_object_that_is_selected_no_more_is_deleted_for_a_watch(
        self, client: Client, namespace: str
    ) -> None:
        path = CONFIG_MAPS.list_path(namespace)
        made = await client.post(
            path, {**config("c"), "metadata": {"name": "c", "labels": {"mine": "1"}}}
        )
        await client.patch(
            CONFIG_MAPS.path("c", namespace), {"metadata": {"labels": {"mine": "2"}}}, Patch.MERGE
        )

        found = await events(client, path, 1, resourceVersion=version(made), labelSelector="mine=1")

        assert found[0]["type"] == "DELETED"

    async def test_a_watch_ends_at_its_time(self, client: Client, namespace: str) -> None:
        params = {"watch": "1", "timeoutSeconds": "1", "fieldSelector": "metadata.name=none"}

        async with client.stream(CONFIG_MAPS.list_path(namespace), params) as stream:
            found = [event async for event in stream if event["type"] != "BOOKMARK"]

        assert found == []

    async def test_a_watch_from_a_forgotten_version_is_gone(
        self, client: Client, namespace: str, forget: Forget
    ) -> None:
        path = CONFIG_MAPS.list_path(namespace)
        made = await client.post(path, config("c"))
        await client.delete(CONFIG_MAPS.path("c", namespace))

        forget()

        async with asyncio.timeout(20.0):
            assert isinstance(await _refusal(client, path, version(made)), Gone)

    async def test_a_page_of_a_forgotten_list_is_gone(
        self, client: Client, namespace: str, forget: Forget
    ) -> None:
        path = CONFIG_MAPS.list_path(namespace)
        for number in range(3):
            await client.post(path, config(f"c{number}"))
        first = await client.get(path, {"limit": "1"})
        await client.delete(CONFIG_MAPS.path("c2", namespace))

        forget()

        with pytest.raises(Gone):
            await client.get(path, {"limit": "1", "continue": first["metadata"]["continue"]})


class ReflectorContract:
    """Somebody is kept in step, whatever happens."""

    @pytest.fixture
    def mirror(self) -> Mirror:
        return Mirror()

    @pytest.fixture
    def reflector(self, client: Client, namespace: str, mirror: Mirror) -> Reflector:
        params = {"fieldSelector": f"metadata.namespace={namespace}", "labelSelector": "mine"}
        return Reflector(client, CONFIG_MAPS, mirror, params=params, page=2)

    async def test_it_lists_and_then_follows(
        self, client: Client, namespace: str, mirror: Mirror, reflector: Reflector
    ) -> None:
        for number in range(5):
            await client.post(CONFIG_MAPS.list_path(namespace), _mine(f"c{number}"))

        async with running(reflector):
            await reflector.listed.wait()
            assert sorted(mirror.items) == ["c0", "c1", "c2", "c3", "c4"]
            await _change(client, namespace)
            await mirror.until(lambda: len(mirror.events) == 3)

        assert mirror.events == [("ADDED", "new"), ("MODIFIED", "c0"), ("DELETED", "c1")]
        assert mirror.items["c0"]["data"] == {"a": "1"}
        assert mirror.replaced == 1
        assert reflector.in_step

    async def test_it_lists_anew_when_asked(self, mirror: Mirror, reflector: Reflector) -> None:
        async with running(reflector):
            await reflector.listed.wait()
            reflector.relist()
            await mirror.until(lambda: mirror.replaced == 2)

        assert reflector.in_step

    async def test_it_gets_into_step_again_after_the_past_is_forgotten(
        self,
        client: Client,
        namespace: str,
        mirror: Mirror,
        reflector: Reflector,
        forget: Forget,
    ) -> None:
        for number in range(2):
            await client.post(CONFIG_MAPS.list_path(namespace), _mine(f"c{number}"))

        async with running(reflector):
            await reflector.listed.wait()
            forget()
            await _change(client, namespace)
            await mirror.until(lambda: sorted(mirror.items) == ["c0", "new"])
            await mirror.until(lambda: mirror.items["c0"].get("data") == {"a": "1"})


def _mine(called: str) -> JSON:
    return {**config(called), "metadata": {"name": called, "labels": {"mine": "1"}}}


async def _change(client: Client, namespace: str) -> None:
    await client.post(CONFIG_MAPS.list_path(namespace), _mine("new"))
    change: dict[str, Any] = {"data": {"a": "1"}}
    await client.patch(CONFIG_MAPS.path("c0", namespace), change, Patch.MERGE)
    await client.delete(CONFIG_MAPS.path("c1", namespace))


async def _refusal(client: Client, path: str, at: str) -> ApiError | None:
    """Return what a watch from there is refused with, at once or by its first event."""
    while True:
        try:
            first = (await events(client, path, 1, resourceVersion=at))[0]
        except Unreachable:
            # A connection of before the server's restart was found dead; it's not used again.
            continue
        except ApiError as refused:
            return refused
        return event_error(first["object"]) if first["type"] == "ERROR" else None
