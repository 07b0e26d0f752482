"""A picture of turns: who has which GPU in each minute, as the code of the core decides it."""

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from hack.docs.svg import Drawing
from scheduler.core.fairness.division import divide
from scheduler.core.fairness.lag import Lags, advance
from scheduler.core.fairness.order import Turns
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.ids import TenantName
from scheduler.core.model.tenants import Tenant

CARDS, MINUTES, QUEUED = 10, 13, 30
LARGE = TenantName("large")
SMALL = tuple(TenantName(f"small {number}") for number in range(1, 11))
TREE = TenantTree(
    [
        Tenant(LARGE, None, weight=Fraction(90)),
        *(Tenant(name, None, created=1.0 + number) for number, name in enumerate(SMALL)),
    ]
)


def minutes() -> Sequence[Sequence[TenantName]]:
    """Return who has a GPU in each minute: all want all of them, with jobs of one minute."""
    lags, demand = Lags({}, 0.0), dict.fromkeys(TREE.leaves, Fraction(QUEUED))
    shares = divide(TREE, Fraction(CARDS), demand)
    found = []
    for minute in range(MINUTES):
        line = Turns(TREE, shares=shares, lags=lags, held={})
        served = [_serve(line) for _ in range(CARDS)]
        held = {leaf: Fraction(count) for leaf, count in Counter(served).items()}
        end = 60.0 * (minute + 1)
        lags = advance(lags, now=end, tree=TREE, shares=shares, held=held)
        found.append(served)
    return found


def _serve(line: Turns) -> TenantName:
    leaf = line.next(dict.fromkeys(TREE.leaves, 1000))
    assert leaf is not None, "somebody always has a job waiting"
    line.took(leaf, 1000)
    return leaf


LEFT, TOP, WIDE, HIGH = 92, 58, 50, 22
HUES = (
    *("#0b6e4f", "#d1495b", "#b7791f", "#4d8b68", "#8d5a97"),
    *("#2e86ab", "#b0632a", "#5c6f2f", "#a23b72", "#3d5a80"),
)


def picture() -> str:
    """Return it as SVG: a row for each GPU, a column for each minute."""
    drawing = Drawing(LEFT + MINUTES * WIDE + 24, TOP + CARDS * HIGH + 46)
    drawing.text(LEFT, 24, "Ten GPUs, one tenant of weight 90 and ten of weight 1", size=15)
    drawing.text(LEFT, 44, "Who has which GPU. Everybody always has jobs of one minute waiting.")
    for minute, served in enumerate(minutes()):
        x = LEFT + minute * WIDE
        order = sorted(served, key=lambda leaf: (leaf == LARGE, leaf))
        for card, leaf in enumerate(order):
            _cell(drawing, x, TOP + card * HIGH, leaf)
        drawing.text(x + WIDE / 2, TOP + CARDS * HIGH + 18, f"{minute + 1}", middle=True)
    for card in range(CARDS):
        drawing.text(LEFT - 12, TOP + card * HIGH + 15, f"GPU {card}", end=True)
    middle, bottom = LEFT + MINUTES * WIDE / 2, TOP + CARDS * HIGH
    drawing.text(middle, bottom + 36, "minute; 1 to 10: a small tenant; grey: large", middle=True)
    return drawing.svg("Each small tenant has a GPU one minute in ten, the large one the rest")


def _cell(drawing: Drawing, x: float, y: float, leaf: TenantName) -> None:
    if leaf == LARGE:
        drawing.box(x, y, WIDE - 2, HIGH - 2, fill="#dfe5ec")
        return
    number = SMALL.index(leaf)
    drawing.box(x, y, WIDE - 2, HIGH - 2, fill=HUES[number])
    drawing.text(x + WIDE / 2 - 1, y + 15, f"{number + 1}", middle=True, fill="#ffffff")
