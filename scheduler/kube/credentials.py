"""Where the API server is and who we are there, found as kubectl finds it."""

import asyncio
import atexit
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, kube_config
from kubernetes.aio.config.incluster_config import SERVICE_HOST_ENV_NAME, InClusterConfigLoader

from scheduler.core.model.errors import InvalidInput

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds the token, CA and namespace of its ServiceAccount."""


class Source(Protocol):
    """A place that credentials come from; they may change there at any time."""

    async def load(self, *, fresh: bool) -> Configuration:
        """Read them; `fresh` takes nothing that was kept, such as a plugin's token.

        What the configuration names as files may be removed by `forget_files`: read them before
        anything is awaited. Raises InvalidInput.
        """
        ...

    @property
    def namespace(self) -> str:
        """The namespace of whoever names none; known once they were read."""
        ...


def find(
    kubeconfig: str | None,
    context: str | None,
    *,
    environ: Mapping[str, str],
    home: Path,
    account: Path = ACCOUNT,
) -> Source:
    """Return the place to use: the kubeconfig given, KUBECONFIG's, a pod's account, ~/.kube/config.

    Raises InvalidInput if there is none of them.
    """
    if named := kubeconfig or environ.get("KUBECONFIG"):
        return Kubeconfig(named, context)
    if context is None and environ.get(SERVICE_HOST_ENV_NAME):
        return ServiceAccount(account, environ)
    usual = home / ".kube" / "config"
    if not usual.exists():
        raise InvalidInput(
            "no cluster is named: "
            f"give --kubeconfig, set KUBECONFIG, or put a kubeconfig at {usual}"
        )
    return Kubeconfig(str(usual), context)


class ServiceAccount:
    """What Kubernetes mounts into a pod; the kubelet renews the token there."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder, self._environ = folder, environ

    async def load(self, *, fresh: bool) -> Configuration:
        """Read token and CA; there is nothing kept that `fresh` could pass over."""
        configuration = Configuration()
        try:
            _load_account(self._folder, self._environ, configuration)
        except (ConfigException, OSError) as problem:
            raise InvalidInput(
                f"the service account in {self._folder} can't be used ({problem}); "
                "set automountServiceAccountToken, or give --kubeconfig"
            ) from None
        return configuration

    @property
    def namespace(self) -> str:
        """The pod's own."""
        try:
            return (self._folder / "namespace").read_text(encoding="utf-8").strip() or "default"
        except OSError:
            return "default"


class Kubeconfig:
    """One kubeconfig or several, merged as kubectl does; certificates, tokens, plugins."""

    def __init__(self, paths: str, context: str | None = None) -> None:
        self.paths, self._context = paths, context
        self._digest = b""
        self._loader: _Loader | None = None

    async def load(self, *, fresh: bool) -> Configuration:
        """Read it, and run its plugin where the token it gave has expired."""
        configuration = Configuration()
        try:
            loader = self._current(fresh=fresh)
            await loader.load_and_set(configuration)
        except asyncio.CancelledError:
            raise
        except Exception as problem:
            # kubernetes.aio stumbles in many ways over a file that isn't as it should be.
            raise InvalidInput(
                f"kubeconfig {self.paths}: {_text(problem)}; correct it, or name another"
            ) from None
        return configuration

    @property
    def namespace(self) -> str:
        """The one of the context."""
        found = self._loader.current_context if self._loader else {}
        return str((found.get("context") or {}).get("namespace") or "default")

    def _current(self, *, fresh: bool) -> "_Loader":
        """Return the loader that was kept: it knows when the token of a plugin expires."""
        digest = _digest_of(self.paths)
        if self._loader is None or fresh or digest != self._digest:
            self._loader, self._digest = _loader(self.paths, self._context), digest
        return self._loader


class _Loader(kube_config.KubeConfigLoader):
    """kubernetes.aio's loader, which may be asked again and doesn't go on without its plugin."""

    async def load_and_set(self, client_configuration: Configuration) -> None:
        # Left from the last time, they would hide what the files say now.
        for left in ("cert_file", "key_file"):
            self.__dict__.pop(left, None)
        await super().load_and_set(client_configuration)  # type: ignore[no-untyped-call]

    async def load_from_exec_plugin(self) -> bool:
        if not await super().load_from_exec_plugin():  # type: ignore[no-untyped-call]
            raise ConfigException("its credential plugin failed, as the line before this one says")
        return True

    @property
    def current_context(self) -> dict[str, Any]:
        found: dict[str, Any] = super().current_context
        return found


def forget_files() -> None:
    """Remove the files that certificates and keys from inside a kubeconfig were written to.

    TLS takes them from files only. They are removed once they are read: a private key doesn't lie
    about, and kubernetes.aio remembers by content what it wrote, also for the next client.
    """
    kube_config._cleanup_temp_files()  # type: ignore[no-untyped-call]
    atexit.unregister(kube_config._cleanup_temp_files)


def fingerprint(configuration: Configuration) -> bytes:
    """Digest of all that needs new connections when it changes: everything but the token."""
    files = [configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file]
    contents = [Path(file).read_bytes() if file else b"" for file in files]
    rest = (configuration.host, configuration.proxy, configuration.tls_server_name)
    return _digest([repr((*rest, configuration.verify_ssl)).encode(), *contents])


def authorization(configuration: Configuration) -> str:
    """Return the Authorization header's value; "" where a certificate says who we are."""
    return str(configuration.api_key.get("BearerToken") or "").strip()


def _load_account(folder: Path, environ: Mapping[str, str], into: Configuration) -> None:
    loader = InClusterConfigLoader(  # type: ignore[no-untyped-call]
        token_filename=str(folder / "token"),
        cert_filename=str(folder / "ca.crt"),
        try_refresh_token=False,
        environ=environ,
    )
    loader.load_and_set(into)  # type: ignore[no-untyped-call]


def _loader(paths: str, context: str | None) -> _Loader:
    if not any(path.exists() for path in _split(paths)):
        raise ConfigException("it isn't there")
    merged = kube_config.KubeConfigMerger(paths)  # type: ignore[no-untyped-call]
    return _Loader(  # type: ignore[no-untyped-call]
        config_dict=merged.config, active_context=context, config_base_path=None
    )


def _split(paths: str) -> list[Path]:
    separator = kube_config.ENV_KUBECONFIG_PATH_SEPARATOR
    return [Path(path).expanduser() for path in paths.split(separator) if path]


def _digest_of(paths: str) -> bytes:
    return _digest([path.read_bytes() if path.exists() else b"" for path in _split(paths)])


def _digest(parts: list[bytes]) -> bytes:
    return hashlib.sha256(b"".join(b"%d:%s" % (len(part), part) for part in parts)).digest()


def _text(problem: Exception) -> str:
    """Return its text on one line, without the stop that would end our sentence early."""
    return " ".join(str(problem).split()).rstrip(".") or type(problem).__name__
