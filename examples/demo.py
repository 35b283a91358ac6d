"""questframe in one minute: a year of real flights from Polars into a real QuestDB, and back as an answer.

    make demo            # or: python examples/demo.py
    make demo KEEP=1     # the server stays up afterwards, until Ctrl-C, with its web console

It starts a QuestDB of its own on free ports, in a temporary folder that is removed at the end. The exit status is 1 if
anything read back from QuestDB differs from what Polars holds.
"""

from __future__ import annotations

import os
import sys
import time

import polars as pl
from flights import load_flights, load_weather
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from verify import verify

import questframe as qf  # gives every Polars frame the method write_questdb

# For every flight the last weather report of its airport, at most two hours old.
QUESTION = """\
SELECT weather,
       count() AS flights,
       round(avg(dep_delay), 1) AS minutes_late,
       100.0 * sum(CASE WHEN dep_delay > 60 THEN 1 ELSE 0 END) / count() AS hour_late,
       100.0 * sum(CASE WHEN cancelled THEN 1 ELSE 0 END) / count() AS cancelled
FROM (
    SELECT f.dep_delay, f.cancelled,
           CASE WHEN w.visib IS NULL    THEN 'no report'
                WHEN w.precip >= 0.1    THEN 'heavy rain'
                WHEN w.precip > 0       THEN 'rain'
                WHEN w.visib < 3        THEN 'fog or snow'
                WHEN w.wind_gust >= 35  THEN 'strong gusts'
                ELSE 'fair' END AS weather
    FROM flights f ASOF JOIN weather w ON (origin) TOLERANCE 2h
)
ORDER BY minutes_late DESC"""

console = Console()


def main() -> int:
    """Tell the story from top to bottom. Gives the exit status."""
    console.print(
        "[bold]questframe[/] writes dataframes into QuestDB. Here: every flight that left New York City in 2013\n"
        "and the hourly weather at its airports, out of two Polars frames, into a QuestDB started for this demo."
    )

    console.rule("the frame")
    flights, weather = load_flights(), load_weather()
    with pl.Config(tbl_rows=4, tbl_cols=9, tbl_width_chars=console.width):
        print(flights)

    console.rule("a server")
    with console.status("starting QuestDB"):
        db = qf.local.QuestDB().start()
    with db:
        console.print(f"QuestDB is up; its configuration string is {db.conf}")

        console.rule("the plan: how each column would land, before anything is sent")
        print(qf.plan(flights, db.conf, table="flights", at="timestamp"))

        console.rule('flights.write_questdb(conf, table="flights", at="timestamp")')
        report = flights.write_questdb(db.conf, table="flights", at="timestamp", progress=True)  # type: ignore[attr-defined]
        show_report(report)
        console.rule('weather.write_questdb(conf, table="weather", at="timestamp")')
        report = weather.write_questdb(db.conf, table="weather", at="timestamp", progress=True)  # type: ignore[attr-defined]
        show_report(report)

        console.rule("is it all there? the same figures from Polars and from SQL")
        differences = 0
        for table, frame in (("flights", flights), ("weather", weather)):
            db.wait_visible(table, rows=len(frame))
            compared, different = verify(db, table, frame)
            console.print(compared)
            differences += different
        console.print("[bold red]some figures differ[/]" if differences else "[green]every figure is the same[/]")

        console.rule("what weather makes flights late?")
        ask(db)

        if os.environ.get("KEEP", "0") not in {"", "0"}:
            console.rule()
            wait_for_ctrl_c(db)
    return 1 if differences else 0


def show_report(report: qf.WriteReport) -> None:
    """Print a write's report, then its speed in the units people compare."""
    print(report)
    console.print(
        f"[bold]{report.rows:,}[/] rows in {report.seconds:.2f} s: [bold]{report.rows_per_second:,.0f} rows/s[/], "
        f"[bold]{report.bytes_per_second / 1e6:.1f} MB/s[/] (protocol v{report.protocol_version}), "
        "each acknowledged by the server",
        highlight=False,
    )


def ask(db: qf.local.QuestDB) -> None:
    """Run the question and print it with its answer."""
    console.print(Syntax(QUESTION, "sql", background_color="default"))
    start = time.perf_counter()
    answer = db.sql(QUESTION).dicts()
    taken = time.perf_counter() - start
    table = Table("weather", title=f"answered in {taken * 1000:.0f} ms", title_justify="left")
    for heading in ("flights", "minutes late", "over an hour late", "cancelled"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for row in answer:
        table.add_row(
            row["weather"],
            f"{row['flights']:,}",
            f"{row['minutes_late']:.1f}",
            f"{row['hour_late']:.1f} %",
            f"{row['cancelled']:.1f} %",
            "[cyan]" + "█" * round(row["minutes_late"] / 4) + "[/]",
        )
    console.print(table)


def wait_for_ctrl_c(db: qf.local.QuestDB) -> None:
    """Leave the server up until Ctrl-C."""
    console.print(f"the web console is at [bold]{db.http_url}[/]; Ctrl-C ends it, and removes the data")
    try:
        while True:
            time.sleep(1)  # a wait without end would not notice Ctrl-C: Polars' signal handler does not interrupt locks
    except KeyboardInterrupt:
        console.print("bye")


if __name__ == "__main__":
    sys.exit(main())
