"""Names of models, from drivers' words to ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.device.models import short_name, slice_name


@pytest.mark.parametrize(
    ("told", "short"),
    [
        ("NVIDIA H200", "H200"),
        ("Tesla T4", "T4"),
        ("NVIDIA A10", "A10"),
        ("NVIDIA A100-SXM4-80GB", "A100-SXM4-80GB"),
        ("NVIDIA A100 80GB PCIe", "A100-80GB-PCIe"),
        ("NVIDIA H100 80GB HBM3", "H100-80GB-HBM3"),
        ("Tesla V100-SXM2-16GB", "V100-SXM2-16GB"),
        ("NVIDIA GeForce RTX 4090", "RTX-4090"),
        ("Quadro RTX 6000", "RTX-6000"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX-6000-Ada-Generation"),
        ("NVIDIA A100-SXM4-80GB MIG 1g.10gb", "A100-SXM4-80GB-1g.10gb"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb+me", "A100-SXM4-40GB-1g.5gb+me"),
        ("A100-SXM4-80GB", "A100-SXM4-80GB"),
        ("NVIDIA", "unknown"),
        ("", "unknown"),
        ("NVIDIA-A100-SXM4-80GB", "A100-SXM4-80GB"),
        ("-NVIDIA", "unknown"),
        ("a, b", "a-b"),
    ],
)
def test_a_model_has_a_short_name(told: str, short: str) -> None:
    assert short_name(told) == short


def test_a_slice_is_named_by_card_and_profile() -> None:
    assert slice_name("NVIDIA A30", "1g.6gb") == "A30-1g.6gb"


@given(st.text())
def test_a_name_can_stand_in_a_list_and_shortening_it_again_changes_nothing(told: str) -> None:
    short = short_name(told)
    assert short
    assert not set(short) & set(", \t\n")
    assert short_name(short) == short
