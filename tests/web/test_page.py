"""The page in a real browser, where there is one: it draws, and names stay text."""

import html
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from scheduler.core.model.standing import Standing
from scheduler.telemetry.metrics import Metrics
from scheduler.web.app import create_app
from scheduler.web.history import History
from tests.support.standings import SMALL, Story

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
EVIL = "<img src=x onerror=document.title='owned'>"

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium here; install it to have the page looked at"
)


@contextmanager
def _served(picture: Standing, history: History) -> Iterator[str]:
    app = create_app(
        standing=lambda: picture,
        history=history,
        metrics=Metrics().exposition,
        ready=lambda: True,
        title="Test cluster",
    )
    config = uvicorn.Config(app, log_level="error", ws="none", lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()


def _drawn(url: str, profile: Path) -> str:
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
        "--disable-background-networking --disable-component-update --virtual-time-budget=5000"
    )
    done = subprocess.run(
        [str(BROWSER), *flags.split(), f"--user-data-dir={profile}", "--dump-dom", url],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    story = Story(small=(EVIL, *SMALL[1:]))
    history = History()
    for seconds in range(60, 90):
        picture = story.at(float(seconds))
        history.record(picture)
    with _served(picture, history) as url:
        return _drawn(url, tmp_path_factory.mktemp("profile"))


def test_every_node_gpu_and_tenant_is_drawn(page: str) -> None:
    assert page.count('<article class="node"') == 5
    assert len(re.findall(r'<div class="gpu[ "]', page)) == 20
    assert len(re.findall(r'<tr class="[^"]*depth0"', page)) == 7
    assert len(re.findall(r'<figure class="chart ', page)) == 7 + 2
    assert "Test cluster" in page
    assert 'class="status live"' in page


def test_a_bar_says_in_words_what_it_shows(page: str) -> None:
    labels = re.findall(r'aria-label="(GPU \d[^"]*)"', page)
    assert len(labels) == 20
    assert all("% allocated" in label and "load" in label for label in labels)


def test_lines_of_the_charts_go_from_their_left_to_their_right(page: str) -> None:
    lines = re.findall(r'class="line got" d="M0\.0 [^"]*H300\.0', page)
    assert lines


def test_a_name_that_is_markup_is_shown_as_text(page: str) -> None:
    assert html.escape(EVIL, quote=False) in page
    assert re.findall(r"<img[^>]*>", re.sub(r'="[^"]*"', "", page)) == [
        "<img class src alt width height>"
    ]
    title = re.search(r"<title>(.*?)</title>", page)
    assert title
    assert title[1].endswith("Test cluster")
