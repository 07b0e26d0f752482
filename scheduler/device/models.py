"""Names of GPU models, short and stable enough to be written in `equipoise.dev/gpu-models`."""

import re

UNKNOWN = "unknown"
"""The model of a card that never said its name."""

_BRANDS = frozenset({"nvidia", "tesla", "geforce", "quadro"})
_UNSAFE = re.compile(r"[^A-Za-z0-9.+]+")


def short_name(name: str) -> str:
    """Return a driver's product name as people write it; a short name stays as it is.

    Brands (NVIDIA, Tesla, GeForce, Quadro) in front and the word MIG are dropped, all else but
    letters, digits, dots and plus signs becomes one dash: "NVIDIA A100-SXM4-80GB" →
    "A100-SXM4-80GB", "Tesla T4" → "T4", "NVIDIA GeForce RTX 4090" → "RTX-4090",
    "NVIDIA A100-SXM4-80GB MIG 1g.10gb" → "A100-SXM4-80GB-1g.10gb". If nothing is left: "unknown".
    """
    words = [word for word in _UNSAFE.split(name) if word not in ("", "MIG")]
    while words and words[0].lower() in _BRANDS:
        del words[0]
    return "-".join(words) or UNKNOWN


def slice_name(card: str, profile: str) -> str:
    """Return the model of a MIG slice: ("A30", "1g.6gb") → "A30-1g.6gb"."""
    return f"{short_name(card)}-{profile}"
