"""Which servers are reached through a proxy."""

import pytest

from scheduler.kube.proxies import proxy_for

PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("url", "excluded", "proxied"),
    [
        ("https://api.example.com:6443", "", True),
        ("https://127.0.0.1:6443", "", False),
        ("https://localhost:6443", "", False),
        ("https://[::1]:6443", "", False),
        ("https://api.example.com", "*", False),
        ("https://api.example.com", "example.com", False),
        ("https://api.example.com", " other.org , .example.com", False),
        ("https://api.example.com", "*.example.com", False),
        ("https://badexample.com", "example.com", True),
        ("https://example.com", ".example.com", True),
        ("https://10.96.0.1:443", "10.0.0.0/8", False),
        ("https://10.96.0.1:443", "10.96.0.1", False),
        ("https://10.96.0.1:443", "192.168.0.0/16", True),
        ("https://10.96.0.1:443", "svc.cluster.local", True),
    ],
)
def test_who_is_excluded_is_reached_directly(url: str, excluded: str, proxied: bool) -> None:
    environ = {"HTTPS_PROXY": PROXY, "NO_PROXY": excluded}

    assert proxy_for(url, environ) == (PROXY if proxied else None)


def test_each_scheme_has_its_own_proxy() -> None:
    assert proxy_for("http://api", {"HTTPS_PROXY": PROXY}) is None
    assert proxy_for("http://api", {"http_proxy": PROXY}) == PROXY
    assert proxy_for("https://api", {"https_proxy": PROXY, "no_proxy": "api"}) is None
    assert proxy_for("https://api", {}) is None
