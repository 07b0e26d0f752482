"""Free ports on loopback that stay ours while a process is stopped and started again."""

import random
import socket

# Below what Linux hands out for outgoing connections: nobody gets one of them by accident
# between two starts of the same server.
_FIRST, _LAST = 20_000, 32_000
_taken: set[int] = set()
_random = random.SystemRandom()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on and that was not returned before."""
    for _ in range(1000):
        port = _random.randrange(_FIRST, _LAST)
        if port not in _taken and _is_free(port):
            _taken.add(port)
            return port
    raise RuntimeError(f"no port of 127.0.0.1 is free between {_FIRST} and {_LAST}")


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
