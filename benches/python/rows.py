"""The rows of `compare_rows.py`: the same for both clients, which have the same interface."""

from __future__ import annotations

from typing import Any

START_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00:00Z
SIDES = ("buy", "sell")
SYMBOLS = tuple(f"{coin}-USD" for coin in ("BTC", "ETH", "SOL", "XRP", "ADA", "DOT", "LTC"))


def write(buffer: Any, instant: Any, count: int) -> None:
    """Write rows of two symbols, three columns (float, float, integer) and a timestamp, as a program would."""
    row = buffer.row
    for number in range(count):
        row(
            "trades",
            symbols={"symbol": SYMBOLS[number % 7], "side": SIDES[number & 1]},
            columns={"price": 2615.54 + number, "amount": 0.00044, "number": number},
            at=instant(START_NS + number),
        )
