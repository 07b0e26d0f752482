"""The token of `serve` is replaced under it, as a kubelet does, and the old one ends."""

import base64
import json
from collections.abc import Iterator

import pytest

from tests.cluster.pods import Room, pod
from tests.support.controlplane import accounts
from tests.support.controlplane.api import JSON, Api, Refused
from tests.support.controlplane.installed import ACCOUNT, NAMESPACE, USER, Installation
from tests.support.controlplane.kubeconfigs import by_token
from tests.support.controlplane.plane import ControlPlane
from tests.support.controlplane.waiting import eventually

SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
CREDENTIAL = "authentication.kubernetes.io/credential-id"


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    ours = Installation(plane)
    ours.apply()
    plane.nodes(1, gpus=1, prefix="rotation-")
    yield ours
    ours.close()


def token(api: Api, name: str) -> tuple[str, str]:
    """A token that is good as long as the Secret of that name is there, and its name in logs."""
    holder: JSON = api.post(SECRETS, {"metadata": {"name": name}})
    made = accounts.token(api, NAMESPACE, ACCOUNT, holder=holder)
    claims = made.split(".")[1]
    padded = claims + "=" * (-len(claims) % 4)
    return made, f"JTI={json.loads(base64.urlsafe_b64decode(padded))['jti']}"


def test_a_token_that_is_replaced_is_picked_up(
    plane: ControlPlane, installed: Installation, api: Api, namespace: str
) -> None:
    (old, _), (new, known_as) = token(api, "old-holder"), token(api, "new-holder")
    config = by_token(plane.folder / "rotation.kubeconfig", plane.cluster, old)
    serve = installed.start("rotation", credentials=config)
    room = Room(api, namespace)
    room.create(pod("before", "0.5", owner=room.owner()))
    eventually(lambda: room.runs("before"), what="a pod runs")

    config.with_suffix(".token").write_text(new)
    late = by_token(plane.folder / "late.kubeconfig", plane.cluster, old)
    api.delete(f"{SECRETS}/old-holder")
    with Api(late) as holder_of_old:
        eventually(lambda: refused(holder_of_old), what="the old one is good for nothing")
    plane.audit.mark()
    room.create(pod("after", "0.5", owner=room.owner()))
    eventually(lambda: room.runs("after"), what="another pod runs")

    assert known_by(plane, "pods/binding") == {known_as}
    assert serve.containers["serve"].starts == 1
    api.delete(f"{SECRETS}/new-holder")


def known_by(plane: ControlPlane, resource: str) -> set[str]:
    """The tokens with which Equipoise asked for it."""
    asked = [each for each in plane.audit.entries(user=USER) if each.resource == resource]
    return {name for each in asked for name in each.raw["user"]["extra"][CREDENTIAL]}


def refused(api: Api) -> bool:
    try:
        api.get("/api/v1/nodes")
    except Refused as problem:
        return problem.status == 401
    return False
