"""Chooses the defaults: `client.write` until visible, by size of the buffers and number of connections.

Three links (`link.py`) lead to one embedded QuestDB: none at all, one with a round trip of 20 ms, and one that takes
10 MB a second over the first connection with rows, while the others are as fast as the machine (a single connection
mostly is another one by then, and says nothing). Over each the frame is written by clients with buffers of 1 to 32 MiB
(a pool has four) and 1 to 8 connections; each sends at least two requests of at least 1 MiB over each connection, so a
small frame does not fill large buffers. Every write is timed and checked as in `compare_send.py`, after one of the same
client that warms up; medians are printed.

    python benches/python/sweep_send.py [--rows N] [--rounds N] [--frame NAME] [--links NAME ...]
"""

from __future__ import annotations

import argparse
from statistics import median

import data
import visible
from link import HOST, Link
from replay import port_of
from rich.console import Console
from rich.progress import track
from rich.table import Table

import questframe as qf

SIZES = (1, 2, 4, 8, 16, 32)
CONNECTIONS = (1, 2, 4, 8)
BUFFERS = 4
SLOW = 10e6
LINKS = ("direct", "20 ms round trip", "one slow connection")
console = Console()


def main() -> None:
    """Run and print each link."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the frame (default 1,000,000)")
    parser.add_argument("--rounds", type=int, default=3, help="timed writes of each client (default 3)")
    parser.add_argument("--frame", choices=("trades", "tsbs"), default="trades", help="which frame (default trades)")
    parser.add_argument("--links", nargs="+", choices=LINKS, default=list(LINKS), help="which links (default all)")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="MiB of a buffer")
    parser.add_argument("--connections", nargs="+", type=int, default=list(CONNECTIONS), help="numbers of connections")
    options = parser.parse_args()

    dataset = data.make(options.frame, options.rows)
    with qf.local.QuestDB() as server:
        for name in options.links:
            taken = run(server, dataset, name, options.sizes, options.connections, options.rounds)
            show(f"{options.frame}, {options.rows:,} rows, {name}", dataset.rows, taken)


def open_link(server: qf.local.QuestDB, name: str) -> Link:
    """Open the link of this name."""
    port = port_of(server)
    if name == "20 ms round trip":
        return Link(port, delay=0.01)
    return Link(port, slow=SLOW)


def run(
    server: qf.local.QuestDB, dataset: data.Dataset, name: str, sizes: list[int], counts: list[int], rounds: int
) -> dict[tuple[int, int], list[float]]:
    """Time every size and number of connections in turn, round by round, each client over a link of its own."""
    frame = dataset.to_polars()
    keys = [(size, count) for count in counts for size in sizes]
    taken: dict[tuple[int, int], list[float]] = {key: [] for key in keys}
    number = 0
    for _ in track(range(rounds), name, console=console, transient=True):
        for size, count in keys:
            settings = f"connections={count};pool_bytes={(size * BUFFERS) << 20};"
            if name == "direct":
                taken[size, count].append(one(server, dataset, frame, server.conf + settings, number))
            else:
                with open_link(server, name) as link:
                    conf = f"http::addr={HOST}:{link.port};{settings}"
                    taken[size, count].append(one(server, dataset, frame, conf, number))
            number += 1
        keys.reverse()
    return taken


def one(server: qf.local.QuestDB, dataset: data.Dataset, frame: object, conf: str, number: int) -> float:
    """Time one write of a client that has written before."""
    with qf.connect(conf) as client:

        def write(table: str) -> None:
            client.write(frame, table=table, at=data.AT)

        warm_up = f"warm_up_{number}"
        server.sql(visible.create_table(warm_up, dataset))
        write(warm_up)
        visible.wait(server, warm_up, dataset.rows)
        server.sql(f"DROP TABLE {warm_up}")
        return visible.write_and_check(server, write, f"sweep_{number}", dataset)


def show(title: str, rows: int, taken: dict[tuple[int, int], list[float]]) -> None:
    """Print M rows a second, medians."""
    sizes, counts = ([*dict.fromkeys(key[part] for key in sorted(taken))] for part in (0, 1))
    table = Table(title=f"{title}: M rows/s until visible, by size of buffers", title_justify="left")
    for heading in ("connections", *(f"{size} MiB" for size in sizes)):
        table.add_column(heading, justify="right")
    for count in sorted(counts):
        table.add_row(str(count), *(f"{rows / median(taken[size, count]) / 1e6:.3f}" for size in sizes))
    console.print(table)


if __name__ == "__main__":
    main()
