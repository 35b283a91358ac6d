"""The list of intended differences: each is there in the official client, and ours does what the list says instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ingress import differences
from ingress.compare import INTENDED, script
from ingress.differences import Crashes, Difference, Raises

if TYPE_CHECKING:
    from ingress.differences import Expected
    from ingress.players import Player
    from ingress.replay import Outcome

each = pytest.mark.parametrize("difference", differences.ALL, ids=lambda difference: difference.name)


def outcome(player: Player, difference: Difference) -> Outcome:
    """Of the last statement."""
    return player.play(script(difference.code))[-1]


def is_expected(outcome: Outcome, expected: Expected) -> bool:
    if isinstance(expected, Raises):
        raised = outcome.get("raised", {"caught by": [], "code": None})
        return expected.kind in raised["caught by"] and expected.code in {None, raised["code"]}
    if isinstance(expected, bytes):
        return outcome.get("value") == {"bytes": expected.hex()}
    if isinstance(expected, str) and outcome.get("value") == {"name": expected}:
        return True
    return "value" in outcome and outcome["value"] == expected


@each
def test_the_official_client_is_different(official: Player, difference: Difference) -> None:
    theirs = outcome(official, difference)
    if isinstance(difference.official, Crashes):
        # Stray memory is anything, sometimes what should be there, and sometimes the end.
        return
    assert is_expected(theirs, difference.official), theirs


@each
def test_ours_does_what_the_list_says(ours: Player, difference: Difference) -> None:
    mine = outcome(ours, difference)
    assert is_expected(mine, difference.ours), mine


@pytest.mark.parametrize(
    "difference", [one for one in differences.ALL if one.newer], ids=lambda difference: difference.name
)
def test_the_newer_client_does_what_ours_does(newer: Player, difference: Difference) -> None:
    theirs = outcome(newer, difference)
    assert is_expected(theirs, difference.ours), theirs


def test_names_are_different() -> None:
    names = [difference.name for difference in differences.ALL]
    assert len(names) == len(set(names))
    assert set(INTENDED) <= set(names)
