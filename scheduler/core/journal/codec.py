"""Values of the model as JSON and back, by their types. Fields at their default are left out.

Amounts stay exact: a Fraction is a text such as "2/3", a float the shortest text that reads back.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from scheduler.core.model.amounts import quoted
from scheduler.core.model.errors import InvalidInput
from scheduler.core.model.requests import Request
from scheduler.core.packing.mix import Mix
from scheduler.core.packing.prices import Bids

Decoder = Callable[[Any], Any]

_REQUIRED = object()


def encode(value: Any) -> Any:
    """Return what json.dumps takes for a value of the model."""
    kind: Any = type(value)
    return _encoder(kind)(value)


def decode(kind: Any, raw: Any) -> Any:
    """Return the value of that type (a class, or what stands in an annotation) from its JSON.

    Raises InvalidInput.
    """
    return _decoder(kind)(raw)


# ----------------------------------------------------------------------------------- to JSON


@cache
def _encoder(kind: type) -> Callable[[Any], Any]:
    if is_dataclass(kind):
        parts = [(each.name, _default(each)) for each in fields(kind) if each.init]
        return lambda value: _without_defaults(value, parts)
    if kind is Mix:
        return _mix
    if kind is Fraction:
        return str
    if issubclass(kind, StrEnum):
        return lambda value: value.value
    if issubclass(kind, Mapping):
        return lambda found: {str(key): encode(value) for key, value in found.items()}
    if issubclass(kind, frozenset):
        return sorted
    if issubclass(kind, tuple):
        return lambda found: [encode(each) for each in found]
    return _as_it_is


def _mix(mix: Mix) -> Any:
    weights = encode(mix.weights)
    return {"weights": weights, "bids": encode(mix.bids)} if mix.bids else weights


def _as_it_is(value: Any) -> Any:
    return value


def _without_defaults(value: Any, parts: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {}
    for name, default in parts:
        part = getattr(value, name)
        if part is not default and part != default:
            found[name] = encode(part)
    return found


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    return _REQUIRED if field.default_factory is MISSING else field.default_factory()


# --------------------------------------------------------------------------------- from JSON


@cache
def _decoder(kind: Any) -> Decoder:
    kind = getattr(kind, "__supertype__", kind)
    inside, origin = get_args(kind), get_origin(kind)
    if origin in (Union, UnionType):
        return _optional(inside)
    if origin is tuple:
        return _tuples(inside)
    if origin is frozenset:
        return lambda raw: frozenset(map(_decoder(inside[0]), _typed(raw, list)))
    if origin is not None:
        return _mappings(*inside)
    if kind is Mix:
        return _mixes()
    return _records(kind) if is_dataclass(kind) else _plain(kind)


def _mixes() -> Decoder:
    weights = _decoder(tuple[tuple[Request, int], ...])
    bids = _decoder(tuple[Bids, ...])

    def read(raw: Any) -> Mix:
        if not isinstance(raw, dict):
            # So it is written where there are no bids.
            return Mix(weights(raw))
        return Mix(weights(raw.get("weights")), bids(raw.get("bids")))

    return read


def _plain(kind: Any) -> Decoder:
    if kind is Fraction:
        return _fraction
    if kind is float:
        return _float
    if issubclass(kind, StrEnum):
        return lambda raw: _member(kind, raw)
    return lambda raw: _typed(raw, kind)


def _records(kind: Any) -> Decoder:
    hints = get_type_hints(kind)
    readers = {each.name: _decoder(hints[each.name]) for each in fields(kind) if each.init}
    needed = [f.name for f in fields(kind) if f.init and _default(f) is _REQUIRED]

    def read(raw: Any) -> Any:
        found = {}
        for name, part in _typed(raw, dict).items():
            if name not in readers:
                raise InvalidInput(f"{kind.__name__} has no {quoted(name)}")
            found[name] = readers[name](part)
        for name in needed:
            if name not in found:
                raise InvalidInput(f"{kind.__name__} lacks {quoted(name)}")
        return kind(**found)

    return read


def _optional(options: tuple[Any, ...]) -> Decoder:
    (other,) = (each for each in options if each is not type(None))
    read = _decoder(other)
    return lambda raw: None if raw is None else read(raw)


def _tuples(inside: tuple[Any, ...]) -> Decoder:
    if inside[-1] is Ellipsis:
        each = _decoder(inside[0])
        return lambda raw: tuple(map(each, _typed(raw, list)))
    readers = [_decoder(part) for part in inside]

    def read(raw: Any) -> tuple[Any, ...]:
        if len(_typed(raw, list)) != len(readers):
            raise InvalidInput(f"there must be {len(readers)} values, not {len(raw)}")
        return tuple(reader(part) for reader, part in zip(readers, raw, strict=True))

    return read


def _mappings(key: Any, value: Any) -> Decoder:
    read_key, read_value = _decoder(key), _decoder(value)
    return lambda raw: {read_key(k): read_value(v) for k, v in _typed(raw, dict).items()}


def _typed(raw: Any, kind: type) -> Any:
    # A bool is an int to Python, not to who wrote the file.
    if type(raw) is not kind:
        raise InvalidInput(f"{quoted(str(raw))} is no {kind.__name__}")
    return raw


def _float(raw: Any) -> float:
    if type(raw) not in (int, float):
        raise InvalidInput(f"{quoted(str(raw))} is no number")
    return float(raw)


def _fraction(raw: Any) -> Fraction:
    try:
        return Fraction(_typed(raw, str))
    except (ValueError, ZeroDivisionError):
        raise InvalidInput(f"{quoted(raw)} is no fraction") from None


def _member(kind: type[StrEnum], raw: Any) -> StrEnum:
    try:
        return kind(raw)
    except ValueError:
        raise InvalidInput(f"{quoted(str(raw))} is no {kind.__name__}") from None
