"""Random rows on buffers: the official client's bytes, and its exceptions.

Every sequence is played on buffers of the protocol versions 1, 2 and 3. Values are drawn by hypothesis with a fixed
seed; `QUESTFRAME_HYPOTHESIS_PROFILE=full` draws many more, at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_oracle import drawn

from ingress import strategies
from ingress.compare import assert_same

if TYPE_CHECKING:
    from collections.abc import Callable

    from ingress.players import Player
    from ingress.replay import Outcome

VERSIONS = (1, 2, 3)
LAST = ["len(b)", "bytes(b)", "len(b) == len(bytes(b))"]


def on_buffers(official: Player, ours: Player, steps: list[Any], zone: str = "UTC", limit: int = 127) -> list[Outcome]:
    """The steps on buffers `b` of every version; the official outcomes of the last one."""
    outcomes: list[Outcome] = []
    for version in VERSIONS:
        made = {"call": "Buffer", "kwargs": {"protocol_version": version, "max_name_len": limit}, "as": "b"}
        outcomes = assert_same(official, ours, {"zone": zone, "steps": [made, *steps, *LAST]})
    return outcomes


def row(**kwargs: Any) -> dict[str, Any]:
    return {"call": "b.row", "args": ["t"], "kwargs": {"at": {"nanos": 1}, **kwargs}}


def column(value: Any, name: Any = "c") -> dict[str, Any]:
    """A row with one column."""
    return row(columns={"dict": [[name, value]]})


@pytest.fixture
def check(official: Player, ours: Player) -> Callable[..., list[Outcome]]:
    return lambda steps, **options: on_buffers(official, ours, steps, **options)


# In the full run, on a busy machine.
@pytest.mark.timeout(1200)
def test_random_rows(official: Player, ours: Player) -> None:
    @drawn(150)
    @given(strategies.sequences, st.sampled_from(strategies.ZONES), st.sampled_from([127, 127, 127, 16, 3, 0]))
    def same(steps: list[Any], zone: str, limit: int) -> None:
        on_buffers(official, ours, steps, zone, limit)

    same()


@pytest.mark.parametrize(
    ("kind", "examples"),
    [
        ("whole", 10),
        ("floats", 25),
        ("texts", 20),
        ("datetimes", 20),
        ("decimals", 40),
        ("arrays", 30),
        ("strangers", 10),
    ],
)
def test_columns_of_every_kind(official: Player, ours: Player, kind: str, examples: int) -> None:
    values = getattr(strategies, kind)
    values = values() if callable(values) else values

    @drawn(examples)
    @given(st.lists(values, min_size=1, max_size=8), st.sampled_from(strategies.ZONES))
    def same(cells: list[Any], zone: str) -> None:
        on_buffers(official, ours, [column(cell) for cell in cells], zone)

    same()


def test_random_at(official: Player, ours: Player) -> None:
    @drawn(40)
    @given(st.lists(strategies.ats, min_size=1, max_size=8), st.sampled_from(strategies.ZONES))
    def same(instants: list[Any], zone: str) -> None:
        on_buffers(
            official, ours, [{**column(1), "kwargs": {**column(1)["kwargs"], "at": at}} for at in instants], zone
        )

    same()


def test_random_names(official: Player, ours: Player) -> None:
    name = strategies.names(6)

    @drawn(40)
    @given(st.lists(st.tuples(name, name, name), min_size=1, max_size=6), st.sampled_from([127, 20, 5]))
    def same(triples: list[tuple[Any, Any, Any]], limit: int) -> None:
        steps = []
        for table, symbol, field in triples:
            pairs = {"symbols": {"dict": [[symbol, "v"]]}, "columns": {"dict": [[field, 1]]}}
            steps.append({"call": "b.row", "args": [table], "kwargs": {**pairs, "at": {"nanos": 1}}})
        on_buffers(official, ours, steps, limit=limit)

    same()


@pytest.mark.parametrize("template", ["{}", "a{}", "{}b", "a{}b"])
@pytest.mark.parametrize("kind", ["table", "symbol", "column"])
def test_every_character_in_names(check: Callable[..., Any], kind: str, template: str) -> None:
    steps: list[Any] = []
    for character in strategies.CHARACTERS:
        name = template.format(character)
        if kind == "table":
            steps.append(
                {"call": "b.row", "args": [name], "kwargs": {"columns": {"dict": [["a", 1]]}, "at": {"nanos": 1}}}
            )
        elif kind == "symbol":
            steps.append(row(symbols={"dict": [[name, "v"]]}))
        else:
            steps.append(column(1, name))
    check(steps)


def test_every_character_in_values(check: Callable[..., Any]) -> None:
    steps: list[Any] = []
    for character in strategies.CHARACTERS:
        steps += [column(f"a{character}b"), row(symbols={"dict": [["s", f"a{character}"]]})]
    check(steps)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 126, 127, 128, 254])
@pytest.mark.parametrize("limit", [0, 1, 16, 127])
def test_lengths_of_names(check: Callable[..., Any], length: int, limit: int) -> None:
    steps = []
    for name in ("n" * length, "é" * (length // 2), "漢" * (length // 3)):
        steps += [column(1, name), {"call": "b.row", "args": [name], "kwargs": row()["kwargs"]}]
    check(steps, limit=limit)


BAD = [
    column({"list": []}),
    column(2**63),
    column("\ud800"),
    column("\ud800", "a,b"),
    row(symbols={"dict": [["a,b", "\ud800"]]}),
    row(symbols={"dict": [["a", "\ud800"]]}),
    row(symbols={"dict": [["\ud800", "a"]]}),
    column(1, "a.b"),
    row(symbols={"dict": [["a", "x"], ["b", 1]]}),
    row(symbols={"dict": [["a", "x"]]}, at="now"),
    row(columns={"dict": [["a", 1], [1, 2]]}),
    row(symbols={"list": []}),
    {"call": "b.row", "args": ["bad?"], "kwargs": row()["kwargs"]},
    {"call": "b.row", "args": [], "kwargs": {}},
    {"call": "b.row", "args": ["t"], "kwargs": {"columns": {"dict": [["a", 1]]}}},
    {"call": "b.row", "args": ["t", None, None], "kwargs": {"at": {"nanos": 1}}},
    {"call": "b.row", "args": ["t"], "kwargs": {"at": {"nanos": 1}, "column": None}},
    column({"decimal": "1E-77"}),
    *(column({"decimal": value}, name) for value in ("NaN", "-Infinity") for name in ("c", "a,b", "", "n" * 128)),
    row(columns={"dict": [["a", 1]]}, at=None),
    row(columns={"dict": [["a", 1]]}, at={"datetime": [1969, 1, 1, 0, 0, 0, 0, 0, "UTC"]}),
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_bad_row_leaves_the_others(check: Callable[..., Any], bad: Any) -> None:
    check([column(1), bad, "len(b)", "bytes(b)", column(2), bad, bad, column("three"), "b.clear()", bad, column(4)])


EMPTY = [
    row(),
    row(symbols=None, columns=None),
    row(symbols={"dict": []}, columns={"dict": []}),
    row(symbols={"dict": [["bad?", None]]}, columns={"dict": [["also bad?", None]]}),
    row(columns={"dict": [[1, None]]}),
    row(at="not looked at"),
    row(at=None),
    {"call": "b.row", "args": ["bad?"], "kwargs": {"at": {"nanos": 1}}},
]


@pytest.mark.parametrize("empty", EMPTY, ids=range(len(EMPTY)))
def test_rows_of_nothing(check: Callable[..., Any], empty: Any) -> None:
    check([empty, "len(b)", column(1), empty, "bytes(b)", empty])


def test_the_samples_of_the_specification(check: Callable[..., Any]) -> None:
    steps = [
        "b.row('t', symbols={'s': 'v'}, at=TimestampNanos(5))",
        "b.row('t', symbols={'s': 'v'}, at=ServerTimestamp)",
        "b.row('t', symbols={'s': ''}, at=ServerTimestamp)",
        "b.row('x y', symbols={'z': 'w\\\\\"\\n\\r é'}, columns={'q': 'h\"e\\\\l\\nlo ,='}, at=ServerTimestamp)",
        "b.row('t', columns={'z': 1, 'a': 2}, symbols={'y': '1', 'b': '2'}, at=ServerTimestamp)",
        "b.row('t', symbols={'a': 'x'}, columns={'a': 1}, at=ServerTimestamp)",
        "b.row('t', columns={'n': TimestampNanos(1999), 'u': TimestampMicros(1)}, at=TimestampMicros(7))",
        "b.row('t', columns={'e': np.zeros((2, 0)), 'x': np.zeros(0)}, at=ServerTimestamp)",
        "b.row('t', columns={'x': np.zeros((1,) * 32)}, at=ServerTimestamp)",
        "b.row('t', columns={'x': np.zeros((1,) * 33)}, at=ServerTimestamp)",
        "b.row('t', columns={'x': np.float64(1.5)}, at=ServerTimestamp)",
        "b.row('t', columns={'x': datetime.min}, at=ServerTimestamp)",
        "b.row('t', columns={'x': datetime.min.replace(tzinfo=utc), 'y': datetime(9999, 12, 31)}, at=ServerTimestamp)",
    ]
    outcomes = check(steps)
    expected = (
        b't,s=v 5n\nt,s=v\nt,s=\nx\\ y,z=w\\\\"\\\n\\\r\\ \xc3\xa9 q="h\\"e\\\\l\\\nlo ,="\n'
        b"t,y=1,b=2 z=1i,a=2i\nt,a=x a=1i\nt n=1999n,u=1t 7t\n"
    )
    assert bytes.fromhex(outcomes[-2]["value"]["bytes"]).startswith(expected)
