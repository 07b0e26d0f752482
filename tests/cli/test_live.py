"""`serve` that can't begin says so in one line, and nothing else."""

import gc
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.cli.live import live
from scheduler.core.model.errors import InvalidInput
from scheduler.kube.client import Client
from scheduler.settings import Extender, Leadership, Settings, Web, Webhook
from scheduler.telemetry.metrics import Metrics
from tests.support.apiserver.kubeconfigs import by_token
from tests.support.apiserver.server import FakeApi

FREE = Settings(
    extender=Extender(port=0),
    web=Web(port=0),
    webhook=Webhook(host="127.0.0.1", port=0),
    leadership=Leadership(url="https://127.0.0.1:1"),
)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on already."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("listener", ["extender", "web", "webhook"])
async def test_a_port_in_use_ends_it_with_nothing_left_unawaited(
    listener: str, taken: int, tmp_path: Path
) -> None:
    # What is left unawaited is a warning, and warnings are errors here.
    chosen = replace(getattr(FREE, listener), port=taken)
    async with FakeApi() as server:
        path = by_token(tmp_path / "kubeconfig", server.url, "sesame")
        async with await Client.connect(kubeconfig=str(path)) as client:
            with pytest.raises(InvalidInput, match=f"can't listen on 127.0.0.1:{taken}"):
                async with live(replace(FREE, **{listener: chosen}), client, Metrics()):
                    pytest.fail("it runs")
    gc.collect()
