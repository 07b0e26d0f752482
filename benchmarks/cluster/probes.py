"""How long calls take while something else goes on: asked beside it, and as serve counts them."""

import http.client
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import orjson
from prometheus_client.parser import text_string_to_metric_families

EVERY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of so many calls; `worst` None where only buckets are known.

    `failed` of them had no answer, or none with status 200.
    """

    what: str
    calls: int
    p50: float
    p99: float
    worst: float | None
    failed: int = 0


class Probe:
    """Posts the same body twenty times a second, in a thread, while the block lasts.

    A call's time counts from the moment in which it was due: what one that hangs keeps from being
    asked counts, too.
    """

    def __init__(self, what: str, url: str, body: object) -> None:
        self._what, self._url, self._body = what, urlsplit(url), orjson.dumps(body)
        self._took: list[float] = []
        self._failed = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> "Probe":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def latency(self) -> Latency:
        took = sorted(self._took)
        if not took:
            raise SystemExit(f"{self._what}: none of its calls was answered")
        p50, p99 = _at(took, 0.5), _at(took, 0.99)
        return Latency(self._what, len(took), p50, p99, took[-1], self._failed)

    def _ask(self) -> None:
        connection, due = self._connection(), time.perf_counter()
        while not self._ending.is_set():
            due += EVERY_SECONDS
            time.sleep(max(0.0, due - time.perf_counter()))
            try:
                good = self._call(connection)
            except (OSError, http.client.HTTPException):
                connection.close()
                good = False
            self._failed += not good
            self._took.append((time.perf_counter() - due) * 1000)
        connection.close()

    def _call(self, connection: http.client.HTTPConnection) -> bool:
        connection.request("POST", self._url.path, self._body, {"Content-Type": JSON})
        with connection.getresponse() as answer:
            answer.read()
            return answer.status == http.client.OK

    def _connection(self) -> http.client.HTTPConnection:
        host, port = str(self._url.hostname), self._url.port
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=30)
        # Its authority is the one that serve made itself.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(host, port, timeout=30, context=context)


JSON = "application/json"


def counted(page: str, metric: str, what: str, **labels: str) -> Latency:
    """Return what a histogram on serve's page says, interpolated as Prometheus does."""
    buckets: list[tuple[float, float]] = []
    text = httpx.get(f"{page}/metrics", trust_env=False, timeout=30).text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            its = dict(sample.labels)
            if sample.name == f"{metric}_bucket" and labels.items() <= its.items():
                buckets.append((float(its["le"]), sample.value))
    buckets.sort()
    calls = buckets[-1][1] if buckets else 0
    p50, p99 = (_quantile(buckets, share) * 1000 for share in (0.5, 0.99))
    return Latency(what, int(calls), p50, p99, None)


def _quantile(buckets: Sequence[tuple[float, float]], share: float) -> float:
    """Return histogram_quantile(share, buckets), seconds; 0 without calls."""
    wanted = share * buckets[-1][1] if buckets else 0
    low, below = 0.0, 0.0
    for high, count in buckets:
        if count >= wanted > below:
            return (
                low
                if high == float("inf")
                else low + (high - low) * (wanted - below) / (count - below)
            )
        low, below = high, count
    return 0.0


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
