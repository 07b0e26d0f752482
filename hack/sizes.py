"""How large files and functions are, and which ones are too large. `python -m hack.sizes`."""

import ast
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "scheduler"

FILE_LINES, FILE_MEDIAN = 500, 150
FUNCTION_LINES, FUNCTION_P90, FUNCTION_MEDIAN = 60, 30, 8


@dataclass(frozen=True, slots=True)
class Function:
    """One function or method. `lines` counts from `def` to its end, without the docstring."""

    where: str
    name: str
    lines: int
    typed: bool


@dataclass(frozen=True, slots=True)
class Module:
    """One file: its lines, and the functions in it."""

    path: str
    lines: int
    functions: tuple[Function, ...]


def modules(package: Path = PACKAGE, root: Path = ROOT) -> list[Module]:
    """Measure every file below the package but `__init__.py`, which holds only a docstring."""
    paths = sorted(package.rglob("*.py"))
    return [_module(path, root) for path in paths if path.name != "__init__.py"]


def complaints(measured: Sequence[Module]) -> list[str]:
    """Say what is too large or untyped, one sentence each; empty if all is well."""
    functions = [function for module in measured for function in module.functions]
    return [
        *_file_complaints(measured),
        *_function_complaints(functions),
        *(
            f"{function.where} {function.name} says nothing of what it returns; add -> its type"
            for function in functions
            if not function.typed
        ),
    ]


def percentile(values: Sequence[int], share: float) -> int:
    """Return the smallest value that at least `share` of all values don't exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else 0


def _module(path: Path, root: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    name = str(path.relative_to(root))
    return Module(name, len(text.splitlines()), tuple(_functions(ast.parse(text), name)))


def _functions(tree: ast.AST, path: str) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(
                where=f"{path}:{node.lineno}",
                name=node.name,
                lines=(node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node),
                typed=node.returns is not None,
            )


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    if ast.get_docstring(node) is None or len(node.body) == 1:
        return 0
    return (first.end_lineno or first.lineno) - first.lineno + 1


def _file_complaints(measured: Sequence[Module]) -> Iterator[str]:
    for module in measured:
        if module.lines > FILE_LINES:
            yield (
                f"{module.path} has {module.lines} lines, more than {FILE_LINES}; "
                "move one of its ideas into a module of its own"
            )
    median = statistics.median_high([module.lines for module in measured] or [0])
    if median > FILE_MEDIAN:
        yield (
            f"the median file has {median} lines, more than {FILE_MEDIAN}; split the largest: "
            + ", ".join(m.path for m in sorted(measured, key=lambda m: -m.lines)[:3])
        )


def _function_complaints(functions: Sequence[Function]) -> Iterator[str]:
    for function in functions:
        if function.lines > FUNCTION_LINES:
            yield (
                f"{function.where} {function.name} has {function.lines} lines, more than "
                f"{FUNCTION_LINES}; give its steps names of their own"
            )
    longest = sorted(functions, key=lambda function: -function.lines)[:5]
    named = ", ".join(f"{f.where} {f.name} ({f.lines})" for f in longest)
    lengths = [function.lines for function in functions]
    for word, share, limit in (("median", 0.5, FUNCTION_MEDIAN), ("p90", 0.9, FUNCTION_P90)):
        if (found := percentile(lengths, share)) > limit:
            yield f"the {word} function has {found} lines, more than {limit}; shorten: {named}"


def main() -> int:
    """Print the sizes, or what is wrong with them; 1 if anything is."""
    measured = modules()
    lengths = [function.lines for module in measured for function in module.functions]
    wrong = complaints(measured)
    for line in wrong:
        print(line, file=sys.stderr)
    files = [module.lines for module in measured]
    print(
        f"Sizes: {len(files)} files, median {percentile(files, 0.5)}, largest {max(files)}; "
        f"{len(lengths)} functions, median {percentile(lengths, 0.5)}, "
        f"p90 {percentile(lengths, 0.9)}, largest {max(lengths)} lines"
    )
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
