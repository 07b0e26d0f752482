"""Which proxy a server is reached through, by the environment, as kubectl reads it."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit


def proxy_for(url: str, environ: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy of HTTPS_PROXY or HTTP_PROXY; None where NO_PROXY excludes it.

    Never for localhost. NO_PROXY may hold names, suffixes, addresses and CIDR ranges, as Go's
    `net/http.ProxyFromEnvironment` understands them.
    """
    parts = urlsplit(url)
    host, scheme = (parts.hostname or "").rstrip("."), parts.scheme
    if _is_local(host) or any(_covers(entry, host) for entry in _excluded(environ)):
        return None
    return environ.get(f"{scheme.upper()}_PROXY") or environ.get(f"{scheme}_proxy") or None


def _excluded(environ: Mapping[str, str]) -> list[str]:
    text = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    return [entry.strip().lower() for entry in text.split(",") if entry.strip()]


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _covers(entry: str, host: str) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        # A name: "example.com" covers it and what is below it, ".example.com" only the latter.
        suffix = entry.removeprefix("*")
        below = suffix if suffix.startswith(".") else f".{suffix}"
        return host == suffix or host.endswith(below)
