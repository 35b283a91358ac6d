"""Buffers, timestamps, enumerations and errors as objects: constructors, methods, attributes, right and wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ingress.compare import script
from ingress.tables import NUMBERS, OTHERS, TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        *(
            f"{version}"
            for version in ("0", "1", "2", "3", "4", "-1", "2.0", "2.5", "True", "'2'", "None", "b'2'", "2**64")
        ),
        "protocol_version=2",
        "2, 100, 20",
        "2, init_buf_size=100, max_name_len=20",
        "2, 0, 0",
        "2, -1",
        "2, 1, -1",
        "2, '5'",
        "2, 1.5",
        "2, None",
        "2, 5, None",
        "2, True, True",
        "2, 5, 5, 5",
        "2, size=5",
        "4, -1",
        "'x', -1",
        "Number(2)",
        "np.int64(2)",
        "Decimal(2)",
    ],
)
def test_buffers(check: Callable[..., Any], arguments: str) -> None:
    check(f"buffer(Buffer({arguments}))")


@pytest.mark.parametrize(
    "code",
    [
        "b.reserve(-1)",
        "b.reserve('5')",
        "b.reserve(1.5)",
        "b.reserve(None)",
        "b.reserve(5)",
        "b.reserve()",
        "b.reserve(additional=5)",
        "b.reserve(1000) or b.capacity() >= 1000",
        "b.clear(1)",
        "b.init_buf_size = 5",
        "b.max_name_len = 5",
        "b.protocol_version",
        "b.colour",
        "b.capacity",
        "b.row",
        "str(b) == bytes(b)",
        "b.row('t', {'a': 'x'}, at=ServerTimestamp)",
        "b.row(table_name='t', columns={'a': 1}, at=ServerTimestamp)",
        "b == Buffer(2)",
        "len(Buffer)",
        "b.row(None, columns={'a': 1}, at=ServerTimestamp)",
        "b.row('t', symbols={'a': 1}, at=ServerTimestamp)",
        "b.row('t', columns={1: 1}, at=ServerTimestamp)",
        "b.row('t', columns=[('a', 1)], at=ServerTimestamp)",
        "b.row('t', columns={'a': 1}.items(), at=ServerTimestamp)",
        "b.row('t', columns=type('D', (dict,), {})(a=1), at=ServerTimestamp)",
        "b.row('t', columns={'a': ServerTimestamp}, at=ServerTimestamp)",
        "b.row('t', columns={'a': 1}, at=ServerTimestampType)",
        "b.row('t', columns={'a': 1}, at=ServerTimestampType())",
        "b.row('t', columns={'a': 1}, at=TimestampNanos)",
        "b.row('t', columns={'a': 1}, at=date(2025, 1, 1))",
        "b.row('t', columns={'a': 1}, at=np.datetime64(1, 's'))",
    ],
)
def test_calls_of_buffers(check: Callable[..., Any], code: str) -> None:
    check("b = Buffer(2, 10)", code, "buffer(b)", "b.row('t', columns={'a': 1}, at=ServerTimestamp)", "buffer(b)")


MOMENTS = [
    "datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=utc)",
    "datetime(2025, 1, 2, 3, 4, 5, 678901)",
    "datetime(2025, 10, 26, 2, 30, fold=0)",
    "datetime(2025, 10, 26, 2, 30, fold=1)",
    "datetime(2025, 3, 30, 2, 30)",
    "datetime(1969, 12, 31, tzinfo=utc)",
    "datetime(2262, 4, 11, tzinfo=utc)",
    "datetime.min",
    "date(2025, 1, 1)",
    "5",
    "None",
    "'2025-01-01'",
    "np.datetime64(5, 'us')",
    "pd.Timestamp('2025-01-02T03:04:05.678901234', tz='Europe/Berlin')",
    "pd.NaT",
]


@pytest.mark.parametrize("kind", ["TimestampNanos", "TimestampMicros"])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_timestamps(check: Callable[..., Any], kind: str, zone: str) -> None:
    numbers = [
        *NUMBERS,
        *TEXTS,
        *OTHERS,
        "2**63 - 1",
        "2**63",
        "-2**63",
        "1e18",
        "1e19",
        "inf",
        "-0.5",
        "-1.5",
        "Level.low",
    ]
    check(
        *(f"{kind}({number})" for number in numbers),
        *(f"{kind}.from_datetime({moment})" for moment in MOMENTS),
        f"{kind}(value=5), {kind}(5).value",
        f"{kind}()",
        f"{kind}(1, 2)",
        f"{kind}(number=1)",
        f"{kind}.from_datetime()",
        f"{kind}.from_datetime(dt={MOMENTS[0]})",
        f"{kind}(5) == {kind}(5)",
        f"(lambda stamp: stamp == stamp and hash(stamp) == hash(stamp))({kind}(5))",
        f"{kind}(5) < {kind}(6)",
        f"{kind}(5).__setattr__('value', 6)",
        f"{kind}(5).colour",
        f"int({kind}(5))",
        f"{kind}.now().value > 10**15",
        f"isinstance({kind}.now(), {kind})",
        zone=zone,
    )


@pytest.mark.parametrize(
    "code",
    [
        "sorted(set(['Buffer', 'IngressError', 'WARN_HIGH_RECONNECTS']) & set(module.__all__))",
        "module.WARN_HIGH_RECONNECTS",
        "isinstance(module.VERSION, str)",
        "issubclass(Protocol, TaggedEnum), issubclass(TlsCa, TaggedEnum)",
        "[(code.name, code.value, str(code)) for code in IngressErrorCode]",
        "[(p.name, p.value, p.tag, p.c_value, p.tls_enabled) for p in Protocol]",
        "[(ca.name, ca.value, ca.tag, ca.c_value) for ca in TlsCa]",
        *(
            f"{kind}.parse({value})"
            for kind in ("Protocol", "TlsCa")
            for value in (*OTHERS, "'tcp'", "'TCP'", "'os_roots'")
        ),
        "Protocol.parse(Protocol.Tcp), Protocol.parse('https')",
        "Protocol.parse(TlsCa.OsRoots)",
        "Protocol.parse(5)",
        "isinstance(ServerTimestamp, ServerTimestampType)",
        "IngressError(IngressErrorCode.ConfigError, 'x').code",
        "IngressError(IngressErrorCode.ConfigError, 'x').args, str(IngressError(IngressErrorCode.ConfigError, 'x'))",
        "IngressError('x')",
        "IngressError(IngressErrorCode.ConfigError, 'x', 'y')",
        "IngressError()",
        "IngressError(IngressErrorCode.ConfigError, 'x').__setattr__('code', 1)",
        "issubclass(IngressError, Exception), issubclass(IngressError, ValueError)",
    ],
)
def test_names(check: Callable[..., Any], code: str) -> None:
    check(code)


def test_every_public_name(official: Any, ours: Any) -> None:
    theirs = official.play(script("sorted(module.__all__)"))[0]["value"]["list"]
    mine = ours.play(script("[name for name in dir(module)]"))[0]["value"]["list"]
    assert set(theirs) | {"SenderTransaction", "TaggedEnum", "VERSION"} <= set(mine)
