"""Webhook, policies and certificates, as values change them."""

import pytest

from scheduler.kube.webhooks import CONFIGURATION
from tests.chart.objects import JSON, container, objects, of_kind, one

KINDS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
CERT_MANAGER = "--set=webhook.certManager.enabled=true"


@pytest.mark.parametrize("kind", KINDS)
def test_schedulers_that_are_taken_over_are_asked_about(kind: str) -> None:
    found = objects("--set=webhook.takeOver={kai-scheduler,runai-scheduler}")
    pods = one(found, kind, CONFIGURATION)["webhooks"][1]
    expressions = "\n".join(each["expression"] for each in pods["matchConditions"])
    assert "in ['equipoise', 'kai-scheduler', 'runai-scheduler']" in expressions


def selectors(found: list[JSON]) -> list[list[str]]:
    """The namespaces that webhooks leave out."""
    return [
        entry["values"]
        for kind in KINDS
        for hook in one(found, kind, CONFIGURATION)["webhooks"]
        for entry in hook["namespaceSelector"]["matchExpressions"]
        if entry["operator"] == "NotIn"
    ]


def test_the_same_namespaces_are_left_out_everywhere() -> None:
    left_out = ["kube-system", "vendor-system", "equipoise-system"]
    rendered = objects("--set=systemNamespaces={kube-system,vendor-system}")
    found = selectors(rendered)
    assert found == [left_out] * 4
    policies = of_kind(rendered, "ValidatingAdmissionPolicy")
    conditions = "\n".join(
        condition["expression"]
        for policy in policies
        for condition in policy["spec"].get("matchConditions", ())
    )
    assert conditions.count(f"!(request.namespace in {left_out})") == 4


def test_serve_makes_its_certificate_unless_cert_manager_does() -> None:
    ours, theirs = objects(), objects(CERT_MANAGER)
    assert not of_kind(ours, "Certificate")
    certificate = one(theirs, "Certificate", "equipoise-webhook")["spec"]
    service = one(theirs, "Service", "equipoise-webhook")["metadata"]
    assert f"{service['name']}.{service['namespace']}.svc" in certificate["dnsNames"]
    spec = one(theirs, "Deployment", "equipoise-scheduler")["spec"]["template"]["spec"]
    volumes = {each["name"]: each for each in spec["volumes"]}
    mounts = {each["name"]: each["mountPath"] for each in container(spec, "serve")["volumeMounts"]}
    assert volumes["certificate"]["secret"]["secretName"] == certificate["secretName"]
    settings = one(theirs, "ConfigMap", "equipoise-settings")["data"]["settings.yaml"]
    assert f"certificates: {mounts['certificate']}" in settings
    for kind in KINDS:
        annotations = one(theirs, kind, CONFIGURATION)["metadata"]["annotations"]
        assert annotations["cert-manager.io/inject-ca-from"].endswith("/equipoise-webhook")


def test_an_issuer_that_is_named_is_used_and_none_made() -> None:
    named = "--set=webhook.certManager.issuerRef.kind=ClusterIssuer"
    found = objects(CERT_MANAGER, named, "--set=webhook.certManager.issuerRef.name=ours")
    reference = one(found, "Certificate", "equipoise-webhook")["spec"]["issuerRef"]
    assert reference == {"kind": "ClusterIssuer", "name": "ours"}
    assert not of_kind(found, "Issuer")


def test_with_cert_manager_serve_may_touch_no_secret() -> None:
    def secrets(*arguments: str) -> list[JSON]:
        rules = one(objects(*arguments), "Role", "equipoise-scheduler")["rules"]
        return [rule for rule in rules if "secrets" in rule["resources"]]

    assert len(secrets()) == 2
    assert secrets(CERT_MANAGER) == []
