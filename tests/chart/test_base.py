"""deploy/base is the chart with default values."""

import yaml

from hack.chart import render


def test_it_is_what_the_chart_renders() -> None:
    assert render.differences(render.base()) == []


def test_nothing_of_helm_is_left_in_it() -> None:
    for path, text in render.base().items():
        assert "helm" not in text.lower(), path


def test_kustomize_takes_every_file() -> None:
    kustomization = yaml.safe_load((render.BASE / "kustomization.yaml").read_text())
    generated = [
        entry.partition("=")[2] or entry
        for each in kustomization["configMapGenerator"]
        for entry in each["files"]
    ]
    assert {*kustomization["resources"], *generated} == render.base().keys()
