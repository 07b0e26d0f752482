"""`equipoise defrag`: move running pods together, so that some of those that wait fit."""

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import click

from scheduler.cli.defragorder import Order, carry_out
from scheduler.cli.defragview import as_data, say
from scheduler.cli.journalreading import read_journal
from scheduler.cli.look import cluster_options, looking
from scheduler.core.cycle.defragment import Defragmentation, defragment
from scheduler.core.cycle.profile import Profile
from scheduler.core.journal.inputs import Inputs
from scheduler.core.ledger.snapshot import Snapshot
from scheduler.core.model.amounts import quoted
from scheduler.core.model.durations import parse_duration
from scheduler.core.model.errors import InvalidFile, InvalidInput
from scheduler.core.model.ids import TenantName
from scheduler.core.model.pods import Pod
from scheduler.core.model.tenants import tenant_part


@dataclass(frozen=True, slots=True)
class Seen:
    """What it is worked out on: a cluster as it is now (`at`, seconds), or a round of a journal."""

    snapshot: Snapshot
    pending: Collection[Pod]
    at: float
    profile: Profile

    def found(self, tenant: str | None, most: int | None) -> Defragmentation:
        """Work it out for a tenant and all below it, or for all; raise InvalidInput."""
        known = {each.name: each for each in self.snapshot.tenants if not each.user}
        if tenant is not None and tenant not in known:
            raise InvalidInput(
                f"there is no tenant {quoted(tenant)}; `equipoise tenants` lists them"
            )
        tops = [name for name, each in known.items() if each.parent is None]
        among = tops if tenant is None else [TenantName(tenant)]
        return defragment(
            self.snapshot, self.pending, self.at, self.profile, tenants=among, most=most
        )


@click.command("defrag")
@click.option("--dry-run", is_flag=True, help="Only say what would be moved.")
@click.option("--tenant", metavar="NAME", help="Only for its pods, and those of all below it.")
@click.option(
    "--max-moves", "most", type=click.IntRange(1, 999_999), metavar="N",
    help="So many pods are moved at most.",
)  # fmt: skip
@click.option(
    "--for", "duration", default="10m", show_default=True, metavar="DURATION",
    help="So long the scheduler goes on with it at most.",
)  # fmt: skip
@click.option("--no-wait", is_flag=True, help="Don't wait until they have their places.")
@click.option(
    "--journal", type=click.Path(path_type=Path), metavar="FILE",
    help="With --dry-run: work it out on the last round of a journal.",
)  # fmt: skip
@cluster_options
@click.pass_context
def defrag(
    click_context: click.Context,
    /,
    *,
    dry_run: bool,
    tenant: str | None,
    most: int | None,
    duration: str,
    no_wait: bool,
    journal: Path | None,
    kubeconfig: str | None,
    context: str | None,
    as_json: bool,
) -> None:
    """Move running pods together, so that some of those that wait fit.

    Only pods that may be stopped and that something makes again, and only if each of them has a
    place to go to. Exit status 1 if nobody is helped by that, or doesn't get a place in time.

    Whoever may update Tenants may have it done: the order is an annotation of the Tenants whose
    pods fit then. It ends once those have their places, or when its time is over.
    """
    seconds = parse_duration(duration)
    if journal is not None and not dry_run:
        raise InvalidInput("what a journal has is over; give --dry-run with --journal")
    seen = _looked(kubeconfig, context) if journal is None else last_of(journal)
    found = seen.found(tenant, most)
    if not as_json:
        say(found, whose="" if tenant is None else f" of {tenant}")
    placed = None
    if found.gains and not dry_run:
        placed = carry_out(
            order_for(found, seconds, limited=most is not None),
            kubeconfig=kubeconfig,
            context=context,
            wait=not no_wait,
            tell=_quiet if as_json else click.echo,
        )
    if as_json:
        click.echo(json.dumps(as_data(found, placed), indent=2))
    if not found.gains or placed is False:
        click_context.exit(1)


def last_of(journal: Path) -> Seen:
    """Return what the last round of a journal saw; raise InvalidFile."""
    last: Inputs | None = None
    for _, entry in read_journal(journal):
        last = entry.inputs
    assert last is not None, "a journal without a round is refused"
    if last.holdings and not last.snapshot.running:
        raise InvalidFile(
            str(journal),
            "doesn't say who runs since when, as nobody could be stopped or moved then; "
            "look at the cluster itself",
        )
    return Seen(last.snapshot, last.pending.values(), last.now, last.profile)


def _looked(kubeconfig: str | None, context: str | None) -> Seen:
    look = looking(kubeconfig, context)
    return Seen(look.running, list(look.pods_in_line), look.at, look.profile)


def order_for(found: Defragmentation, seconds: float, *, limited: bool) -> Order:
    """Return the order to do it within so many seconds; `limited`: with no more moves than that.

    For users it stands on their tenant: of them there is no object.
    """
    moves = Counter[TenantName]()
    for gain in found.gains:
        moves[tenant_part(gain.pod.tenant)] += len(gain.moves)
    pods = tuple(gain.pod for gain in found.gains)
    return Order(pods, {name: moves[name] if limited else None for name in sorted(moves)}, seconds)


def _quiet(_text: str) -> None:
    """With --json nothing but the JSON is printed."""
