"""Write charts/equipoise/dashboards/*.json: `python -m hack.dashboards`; --check only compares."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from hack.dashboards import fairness, gpus, itself
from hack.dashboards.boards import Board

FOLDER = Path(__file__).resolve().parents[2] / "charts" / "equipoise" / "dashboards"
BOARDS: tuple[Board, ...] = (fairness.BOARD, gpus.BOARD, itself.BOARD)


def text_of(board: Board) -> str:
    """Return the file's text."""
    return json.dumps(board.json(), indent=1, ensure_ascii=False) + "\n"


def path_of(board: Board) -> Path:
    """Return where it is committed."""
    return FOLDER / f"{board.uid}.json"


def main(argv: Sequence[str] = ()) -> int:
    """Write what has changed; with --check return 1 if anything has."""
    stale = [board for board in BOARDS if not _is(board)]
    if "--check" in argv:
        for board in stale:
            print(f"{path_of(board)} is out of date; run: make dashboards", file=sys.stderr)
        return bool(stale)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for board in stale:
        path_of(board).write_text(text_of(board), encoding="utf-8")
    return 0


def _is(board: Board) -> bool:
    path = path_of(board)
    return path.exists() and path.read_text(encoding="utf-8") == text_of(board)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
