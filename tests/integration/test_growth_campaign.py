"""A short form of `tests/growthcampaign.py`, which kills more and longer."""

from __future__ import annotations

import os

import growthcampaign
import pytest

KILLS = int(os.environ.get("FLOW_TEST_KILLS", "6"))


@pytest.mark.parametrize("seed", [1, 5])
def test_runs_that_are_killed_lose_and_double_no_row(seed: int) -> None:
    told: list[str] = []
    faults = growthcampaign.campaign(
        kills=KILLS // 2, first_seed=seed, tell=told.append, per_round=KILLS // 2
    )
    assert faults == 0, "\n".join(told)
