"""Charts of what has been recorded, as SVG beside the records: nothing is measured here.

- `growth.svg`: what a row or a cell costs as rows, columns and chunks grow (the newest `<date>.growth.csv`);
- `ratios.svg`: speed against the official client, a bar for each frame and protocol version (the newest records of
  `compare_encode.py`).

Written by hand from the standard library. Colours follow the reader's scheme where a viewer knows it, and are readable
on light and dark backgrounds where it does not.

    python benches/python/charts.py
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

RECORDS = Path(__file__).resolve().parents[1] / "record"
#: Of a middle lightness, for both backgrounds; told apart also without colour, by their marks and their order.
COLOURS = ("#2a78d6", "#e0701a", "#2f9e64", "#a65fc0")
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #6e7781; }
.title { font-size: 14px; font-weight: 600; }
.inside { fill: #ffffff; }
.line { stroke: #8b949e; stroke-opacity: 0.35; }
@media (prefers-color-scheme: dark) { text:not(.inside) { fill: #c9d1d9; } }
"""
Row = dict[str, str]


def main() -> None:
    """Draw both charts; one without records is left as it is."""
    for name, draw in (("growth.svg", growth), ("ratios.svg", ratios)):
        drawn = draw()
        if drawn is None:
            print(f"{name}: no records")
            continue
        (RECORDS / name).write_text(drawn, encoding="utf-8")
        print(f"{name} drawn")


def rows(pattern: str) -> list[Row]:
    """Read all records of a kind, oldest first."""
    found: list[Row] = []
    for path in RECORDS.glob(f"*/{pattern}"):
        with path.open(newline="", encoding="utf-8") as file:
            found += csv.DictReader(file)
    return sorted(found, key=lambda row: row["time"])


# --------------------------------------------------------------------------------------------------------- drawing


class Picture:
    """Elements of an SVG, one after the other."""

    def __init__(self, width: int, height: int, title: str) -> None:
        """An empty picture; the title is also what a screen reader says."""
        self._size = (width, height)
        self._title = title
        self._parts: list[str] = []

    def text(self, x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> None:
        """Put words at a place, their baseline at `y`."""
        name = f' class="{kind}"' if kind else ""
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{name}>{escape(words)}</text>')

    def line(self, x: float, y: float, x2: float, y2: float) -> None:
        """Draw a line of the grid."""
        self._parts.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="line"/>')

    def curve(self, points: Iterable[tuple[float, float]], colour: str) -> None:
        """Draw a line through points, and the points."""
        points = list(points)
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        self._parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]

    def bar(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Draw a bar."""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" fill="{colour}"/>'
        )

    def svg(self) -> str:
        """Give the whole file."""
        width, height = self._size
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-label="{escape(self._title)}">'
        )
        return "\n".join([head, f"<style>{STYLE}</style>", *self._parts, "</svg>\n"])


# ---------------------------------------------------------------------------------------------------------- growth


@dataclass(frozen=True, slots=True)
class Panel:
    """One diagram: which part of the records, what it is drawn over, and what its axes say."""

    part: str
    over: str
    across: str
    up: str


PANELS = (
    Panel("instructions", "rows", "rows", "instructions per row"),
    Panel("rows", "rows", "rows", "ns per row"),
    Panel("columns", "columns", "columns", "ns per cell"),
    Panel("chunks", "chunks", "batches that a million rows come in", "ns per row"),
)
PANEL_WIDTH, PANEL_HEIGHT = 400, 230
LEFT, TOP = 56, 56


def growth() -> str | None:
    """Draw a diagram for each part, from the newest record of each shape."""
    newest: dict[tuple[str, ...], Row] = {}
    for row in rows("*.growth.csv"):
        key = tuple(row[name] for name in ("part", "frame", "protocol", "simd", "rows", "columns", "chunks", "kernel"))
        newest[key] = row
    panels = [(panel, [row for row in newest.values() if row["part"] == panel.part]) for panel in PANELS]
    if not any(found for _, found in panels):
        return None
    last = max(newest.values(), key=lambda row: row["time"])
    picture = Picture(2 * PANEL_WIDTH + 20, 2 * PANEL_HEIGHT + 56, "What a row or a cell costs as frames grow")
    picture.text(10, 20, "What a row or a cell costs as frames grow, one thread", kind="title")
    picture.text(10, 38, f"{last['cpu']}, {last['time'][:10]}; logarithmic across, from zero upwards")
    for number, (panel, found) in enumerate(panels):
        x, y = 10 + number % 2 * PANEL_WIDTH, TOP + number // 2 * PANEL_HEIGHT
        if found:
            diagram(picture, x, y, panel, found)
    return picture.svg()


def diagram(picture: Picture, x: float, y: float, panel: Panel, found: list[Row]) -> None:
    """Draw one diagram with its upper left corner at a place."""
    series: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in found:
        code = f", {row['simd']}" if panel.part == "instructions" else ""
        series[f"v{row['protocol']}{code}"].append((int(row[panel.over]), float(row["cost"])))
    xs = sorted({place for points in series.values() for place, _ in points})
    top = nice(max(cost for points in series.values() for _, cost in points))
    left, right, above, below = x + LEFT, x + PANEL_WIDTH - 30, y + 36, y + PANEL_HEIGHT - 50
    span = math.log10(xs[-1] / xs[0]) or 1

    def at(place: float, cost: float) -> tuple[float, float]:
        return left + (right - left) * math.log10(place / xs[0]) / span, below - (below - above) * cost / top

    for step in range(5):
        height = at(xs[0], top * step / 4)[1]
        picture.line(left, height, right, height)
        picture.text(left - 6, height + 4, f"{top * step / 4:g}", anchor="end")
    for place in xs:
        picture.text(at(place, 0)[0], below + 16, short(place), anchor="middle")
    picture.text((left + right) / 2, below + 34, panel.across, anchor="middle")
    picture.text(left - 40, above - 22, panel.up)
    for number, (name, points) in enumerate(sorted(series.items())):
        picture.curve((at(place, cost) for place, cost in sorted(points)), COLOURS[number % len(COLOURS)])
        picture.bar(left + number * 84, above - 16, 10, 10, COLOURS[number % len(COLOURS)])
        picture.text(left + number * 84 + 14, above - 7, name)


def nice(most: float) -> float:
    """Give the end of an axis: the next of 1, 2, 4, 6, 8 and 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= most)


def short(number: int) -> str:
    """Give a number as people say it: 5 M."""
    for size, letter in ((1_000_000, " M"), (1_000, " k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return str(number)


# ---------------------------------------------------------------------------------------------------------- ratios

BAR, GAP = 22, 10
BARS_LEFT, BARS_RIGHT = 130, 560


def ratios() -> str | None:
    """Draw a bar for each frame and version: the newest record of our encoder beside the official client."""
    newest: dict[tuple[str, str], Row] = {}
    for row in rows("????-??-??.csv"):
        if row["bench"] == "encode" and row["contender"] == "questframe":
            newest[row["frame"], row["protocol"]] = row
    if not newest:
        return None
    bars = sorted(newest.values(), key=lambda row: -float(row["ratio"]))
    last = max(bars, key=lambda row: row["time"])
    official = next(word.partition("=")[2] for word in last["versions"].split() if word.startswith("questdb="))
    height = TOP + len(bars) * (BAR + GAP) + 10
    picture = Picture(640, height, "Encoding speed against the official client")
    picture.text(10, 20, f"Encoding: times as fast as the official client {official}, one thread", kind="title")
    picture.text(10, 38, f"{last['cpu']}, {last['time'][:10]}; the line is the official client's speed")
    scale = (BARS_RIGHT - BARS_LEFT) / max(float(row["ratio"]) for row in bars)
    for number, row in enumerate(bars):
        y, ratio = TOP + number * (BAR + GAP), float(row["ratio"])
        picture.text(BARS_LEFT - 8, y + 15, f"{row['frame']}, v{row['protocol']}", anchor="end")
        picture.bar(BARS_LEFT, y, ratio * scale, BAR, COLOURS[0])
        speed = float(row["rows_per_second"]) / 1e6
        picture.text(BARS_LEFT + ratio * scale + 6, y + 15, f"{ratio:.1f} x")
        if ratio * scale > 110:
            picture.text(BARS_LEFT + 8, y + 15, f"{speed:.1f} M rows/s", kind="inside")
    picture.line(BARS_LEFT + scale, TOP - 6, BARS_LEFT + scale, height - 10)
    return picture.svg()


if __name__ == "__main__":
    main()
