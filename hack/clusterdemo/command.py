"""The demo on a real control plane: the story, the view and the report of `equipoise demo`.

Real are etcd, kube-apiserver, kube-controller-manager and a stock kube-scheduler, our CRDs, roles,
policies, webhook and agents, and `serve`, which runs in this process. Played are the cards (by the
agents' mock driver) and the kubelets (by kwok).
"""

from typing import Any

import click

from hack.clusterdemo.story import tell_story
from scheduler.cli.demo import choices, chosen
from scheduler.cli.demoscreen import Screen, tell


@click.command("cluster-demo")
@choices
@click.pass_context
def command(context: click.Context, /, as_json: bool, **options: Any) -> None:
    """Share 20 mocked GPUs between one large tenant and six small ones, on a real control plane.

    Ends by itself with a report; exit status 1 if a GPU was sold twice.
    """
    wanted = chosen(**options)
    with Screen(wanted.seconds, quiet=as_json) as screen:
        report = tell_story(wanted, screen)
    tell(report, as_json=as_json)
    if not report.sound:
        context.exit(1)
