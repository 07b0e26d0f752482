"""Hard caps of tenants: limits for every pod, guarantees for pods that can't be stopped."""

from collections.abc import Mapping

from scheduler.core.fairness.limits import over_guarantee, over_limit
from scheduler.core.fairness.tree import TenantTree
from scheduler.core.model.amounts import format_gpus
from scheduler.core.model.ids import TenantName
from scheduler.core.model.names import PREEMPTIBLE
from scheduler.core.model.pods import Pod
from scheduler.core.model.verdicts import Reason, Verdict


def over_caps(
    tree: TenantTree,
    pod: Pod,
    milli: int,
    *,
    held: Mapping[TenantName, int],
    fixed: Mapping[TenantName, int],
) -> Verdict | None:
    """Return why `milli` more for the pod would pass a cap on its path, or None.

    `held` and `fixed` are milli-GPU of every tenant: in all, and of non-preemptible pods.
    """
    if not milli:
        # A pod without a GPU takes nothing that is limited here.
        return None
    name = over_limit(tree, held, leaf=pod.tenant, milli=milli)
    if name is not None:
        limit = tree.tenants[name].limit or 0
        return Verdict(
            Reason.OVER_LIMIT,
            f"{name} holds {format_gpus(held[name])} of at most {format_gpus(limit * 1000)} GPUs "
            f"and this pod needs {format_gpus(milli)}; raise the limit or wait for pods to end",
        )
    if pod.preemptible:
        return None
    name = over_guarantee(tree, fixed, leaf=pod.tenant, milli=milli)
    if name is None:
        return None
    guarantee = tree.tenants[name].guarantee
    return Verdict(
        Reason.OVER_GUARANTEE,
        f"{name} has {format_gpus(fixed[name])} of {format_gpus(guarantee * 1000)} guaranteed GPUs "
        f'in such pods and this one needs {format_gpus(milli)}; set {PREEMPTIBLE} to "true"',
    )
