"""The players of this folder's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from oracle.process import OracleMissingError

from ingress import players
from ingress.compare import assert_same, script
from ingress.tables import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ingress.players import Player


def running(version: str) -> Iterator[Player]:
    try:
        player = players.official(version)
    except OracleMissingError as missing:
        pytest.fail(str(missing))
    yield player
    player.close()


@pytest.fixture(scope="session")
def official() -> Iterator[Player]:
    """The official client 4.1.0, which decides."""
    yield from running("4.1.0")


@pytest.fixture(scope="session")
def newer() -> Iterator[Player]:
    """The official client 6.0.0, for what it mended."""
    yield from running("6.0.0")


@pytest.fixture(scope="session")
def ours() -> Iterator[Player]:
    """`questframe.ingress`."""
    player = players.ours()
    yield player
    player.close()


@pytest.fixture
def check(official: Player, ours: Player) -> Callable[..., Any]:
    """Plays Python statements on both, after the helpers of the tables."""

    def check(*code: str, **options: Any) -> None:
        assert_same(official, ours, {**script("\n".join([PROPERTIES, *code])), **options})

    return check
