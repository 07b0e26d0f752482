"""What `helm test` runs, run here with the rights that it has there."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.chart.live.hooks import grant, script
from tests.support.controlplane.installed import Installation
from tests.support.controlplane.plane import ControlPlane


class Ready(BaseHTTPRequestHandler):
    """Answers as serve does."""

    status, body = 200, b"ok\n"

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # its name above
        """Keep the test's output clean."""


class Unready(Ready):
    """Answers as serve does before it has read the cluster."""

    status, body = 503, b"not ready: nodes and pods are still being read\n"


@pytest.fixture
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), request.param)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("url", [Ready], indirect=True)
def test_without_the_webhook_the_test_fails(plane: ControlPlane, url: str, tmp_path: Path) -> None:
    grant(plane, "test", tmp_path)
    done = script(plane, "test", url, "default")
    assert (done.status, done.out) == (1, f"{url} is ready\n")
    assert "the webhook was not asked" in done.err


@pytest.mark.parametrize("url", [Unready], indirect=True)
def test_before_serve_is_ready_the_test_fails(
    plane: ControlPlane, url: str, tmp_path: Path
) -> None:
    grant(plane, "test", tmp_path)
    done = script(plane, "test", url, "default")
    assert (done.status, done.err) == (1, "not ready: nodes and pods are still being read\n")


def test_with_equipoise_at_work_the_test_succeeds(plane: ControlPlane, tmp_path: Path) -> None:
    grant(plane, "test", tmp_path)
    ours = Installation(plane)
    try:
        ours.apply()
        ours.start("asked")
        web = ours.ports["asked"].web
        done = script(plane, "test", f"http://127.0.0.1:{web}", "default")
        assert done.status == 0, done.err
        assert "would wait for its turn" in done.out
    finally:
        ours.close()
