"""When an eviction is no failure to a Job."""

import pytest
from kubernetes import client

from tests.chart.scripts import uninstall

NEW = frozenset({("PodScheduled", "False")})


def rule(action: str, condition: str, status: str = "True") -> client.V1PodFailurePolicyRule:
    pattern = client.V1PodFailurePolicyOnPodConditionsPattern(type=condition, status=status)
    return client.V1PodFailurePolicyRule(action=action, on_pod_conditions=[pattern])


CODES = client.V1PodFailurePolicyRule(
    action="FailJob",
    on_exit_codes=client.V1PodFailurePolicyOnExitCodesRequirement(operator="In", values=[1]),
)
IGNORE = rule("Ignore", "DisruptionTarget")


@pytest.mark.parametrize(
    ("rules", "ignored"),
    [
        ([IGNORE], True),
        ([CODES, rule("FailJob", "ConfigIssue"), IGNORE], True),
        ([rule("Count", "DisruptionTarget"), IGNORE], False),
        ([rule("FailJob", "PodScheduled", "False"), IGNORE], False),
        ([rule("Ignore", "DisruptionTarget", "False")], False),
        ([CODES], False),
    ],
)
def test_the_first_rule_that_fits_decides(
    rules: list[client.V1PodFailurePolicyRule], ignored: bool
) -> None:
    assert uninstall.ignores(client.V1PodFailurePolicy(rules=rules), NEW) is ignored


def test_without_a_policy_it_is_a_failure() -> None:
    assert not uninstall.ignores(None, NEW)
