"""What stays and what goes: CRDs, the default tenant, hooks; and what monitors it."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from hack.chart import helm as ours
from tests.chart.objects import JSON, objects, of_kind, one

TOGETHER = f"--set=agent.namespace={ours.NAMESPACE}"


def hooked(each: JSON) -> str:
    text: str = each["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    return text


def test_crds_are_upgraded_with_the_chart_and_kept() -> None:
    found = of_kind(objects(), "CustomResourceDefinition")
    assert {each["spec"]["names"]["kind"] for each in found} == {"Tenant", "GPUNode"}
    for each in found:
        assert each["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert not (ours.CHART / "crds").exists()


def test_the_default_tenant_is_made_once_and_never_deleted() -> None:
    tenant = one(objects(), "Tenant", "default")
    assert hooked(tenant) == "post-install,post-upgrade"
    policy = tenant["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
    assert "before-hook-creation" not in policy
    assert not of_kind(objects("--set=defaultTenant.create=false"), "Tenant")


def test_what_lets_go_of_waiting_pods_comes_after_everything_else() -> None:
    found = [each for each in objects() if each["metadata"]["name"] == "equipoise-uninstall"]
    assert {hooked(each) for each in found} == {"post-delete"}
    assert {each["kind"] for each in found} == {
        *("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "Job")
    }
    without = objects("--set=uninstall.releaseWaitingPods=false")
    assert not [each for each in without if hooked(each) == "post-delete"]


def test_the_test_may_do_no_more_than_ask() -> None:
    found = [each for each in objects() if hooked(each) == "test"]
    role = one(found, "Role", "equipoise-test")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]
    assert role["metadata"]["namespace"] == "default"
    assert not of_kind(found, "ClusterRole")


def test_pods_are_scraped_by_annotation_or_by_monitors() -> None:
    def scraped(found: list[JSON]) -> list[bool]:
        made = [*of_kind(found, "Deployment"), *of_kind(found, "DaemonSet")]
        return ["prometheus.io/scrape" in str(each["spec"]["template"]) for each in made]

    monitored = objects("--set=metrics.serviceMonitor.enabled=true")
    assert scraped(objects()) == [True, True]
    assert scraped(monitored) == [False, False]
    service = one(monitored, "Service", "equipoise")
    wanted = one(monitored, "ServiceMonitor", "equipoise")["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= service["metadata"]["labels"].items()


def test_each_dashboard_and_rule_file_becomes_an_object(tmp_path: Path) -> None:
    chart = shutil.copytree(ours.CHART, tmp_path / "equipoise")
    for folder in ("dashboards", "rules"):
        shutil.rmtree(chart / folder, ignore_errors=True)
        (chart / folder).mkdir()
    drawn = {"title": "Fairness", "legend": "{{tenant}}"}
    rules = {"groups": [{"name": "g", "rules": [{"record": "a:b", "expr": "sum(x)"}]}]}
    (chart / "dashboards" / "equipoise-fairness.json").write_text(json.dumps(drawn))
    (chart / "rules" / "equipoise.yaml").write_text(yaml.safe_dump(rules))
    text = ours.helm("template", "equipoise", str(chart), "--set=prometheusRule.enabled=true")
    found = [each for each in yaml.safe_load_all(text) if each]
    dashboard = one(found, "ConfigMap", "equipoise-dashboard-fairness")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["equipoise-fairness.json"]) == drawn
    assert one(found, "PrometheusRule", "equipoise")["spec"] == rules


def test_everything_follows_the_namespace_of_the_release() -> None:
    text = ours.rendered("--namespace=gpu", "--set=namespace.create=true")
    assert "system:serviceaccount:gpu:equipoise-scheduler" in text
    assert ours.NAMESPACE not in text


def test_hooks_end_before_helm_gives_up_and_leave_nothing() -> None:
    hooks = [each for each in objects() if hooked(each) in {"post-delete", "test"}]
    (job,) = of_kind(hooks, "Job")
    (pod,) = of_kind(hooks, "Pod")
    assert max(each["spec"]["activeDeadlineSeconds"] for each in (job, pod)) < 300
    policies = {
        each["kind"]: each["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        for each in hooks
    }
    # What failed `helm test` is asked for its log.
    assert policies.pop("Pod") == "before-hook-creation,hook-succeeded"
    assert set(policies.values()) == {"before-hook-creation,hook-succeeded,hook-failed"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), True),
        ((TOGETHER,), False),
        ((TOGETHER, "--set=agent.mock.enabled=true"), True),
        ((TOGETHER, "--set=agent.enabled=false"), True),
    ],
)
def test_notes_never_lock_agents_out(arguments: tuple[str, ...], said: bool) -> None:
    place = f"--namespace={ours.NAMESPACE}"
    dry = ("install", "equipoise", str(ours.CHART), "--dry-run=client", place)
    notes = ours.helm(*dry, *arguments).partition("NOTES:")[2]
    assert "helm test equipoise" in notes
    assert ("enforce=restricted" in notes) is said
