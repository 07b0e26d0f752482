"""Generated pages say what the code says, and leave nothing out."""

from dataclasses import fields

import click

from hack.docs import annotations, crds, names, settings, turns
from hack.docs.__main__ import outdated
from scheduler.cli.main import COMMANDS
from scheduler.core.model import limitnotes
from scheduler.core.model import names as model
from scheduler.settings import Settings
from tests.docs.blocks import ROOT


def test_all_pages_are_what_the_code_says() -> None:
    assert outdated() == {}, "run: make docs"


def test_every_name_of_the_model_is_told() -> None:
    defined = {
        value
        for module in (model, limitnotes)
        for name, value in vars(module).items()
        if isinstance(value, str) and name.isupper() and value.startswith(model.PREFIX)
    }
    told = {each.name for each in (*names.by_tenants(), *names.BY_ADMINS, *names.BY_US)}
    assert defined - {model.PREFIX} <= told


def test_examples_are_answered_by_the_reader_of_requests() -> None:
    page = annotations.page()
    assert '| `gpu-fraction: "0.5"`, `gpu-count: "2"` | 2 × 0.5 GPU |' in page
    assert page.count("refused: ") == 6


def test_every_setting_is_told_with_its_name_in_the_environment() -> None:
    page = settings.page()
    for group in fields(Settings):
        assert f"## {group.name}\n" in page
        for each in fields(getattr(Settings(), group.name)):
            assert f"`EQUIPOISE_{group.name}_{each.name}`".upper() in page


def test_every_field_of_the_custom_resources_is_told() -> None:
    page = crds.page()
    for field in ("spec.guarantee", "status.lag.slope", "status.devices[].uuid"):
        assert f"| `{field}` |" in page


def test_every_option_of_every_command_is_told() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    for name, entry in COMMANDS.items():
        assert f"## {name}\n" in page
        section = page.split(f"## {name}\n", 1)[1].split("\n## ", 1)[0]
        for parameter in entry.load().params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.opts[-1] in section


def test_the_picture_of_turns_shows_everybody_served_once_in_ten_minutes() -> None:
    first = [leaf for served in turns.minutes()[:10] for leaf in served]
    assert set(turns.SMALL) <= set(first)
    assert all(len(served) == turns.CARDS for served in turns.minutes())
