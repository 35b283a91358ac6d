"""Gives `polars.DataFrame` its `write_questdb`, and `polars.LazyFrame` its `sink_questdb`, without importing polars.

Through polars' own namespace registration: a namespace whose instance is callable reads like a method. If polars is
not loaded yet, a finder waits for its import, and registers once polars has loaded itself.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import types
    from collections.abc import Sequence
    from importlib.abc import Loader, MetaPathFinder
    from importlib.machinery import ModuleSpec
    from typing import Any

    import polars as pl
    from typing_extensions import Unpack

    from questframe._option_types import WriteOptions
    from questframe._questframe import WriteReport
else:
    # The import system asks for methods, not for these classes, and their module brings importlib.resources, tempfile
    # and more along: a sixth of the time that importing this package takes.
    Loader = MetaPathFinder = object


class WriteQuestDB:
    """``df.write_questdb(conf, table=..., at=...)``: see :func:`questframe.write_questdb`."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """Called by polars with the frame whose attribute is read."""
        self._frame = frame

    def __call__(self, conf: str | None = None, **options: Unpack[WriteOptions]) -> WriteReport:
        """Write the frame; see :func:`questframe.write_questdb`."""
        from questframe._api import write_questdb

        return write_questdb(self._frame, conf, **options)


class SinkQuestDB:
    """``lf.sink_questdb(conf, table=..., at=...)``: see :func:`questframe.write_questdb`."""

    def __init__(self, frame: pl.LazyFrame) -> None:
        """Called by polars with the query whose attribute is read."""
        self._frame = frame

    def __call__(self, conf: str | None = None, **options: Unpack[WriteOptions]) -> WriteReport:
        """Run the query and write its rows as they become ready; see :func:`questframe.write_questdb`."""
        from questframe._api import write_questdb

        return write_questdb(self._frame, conf, **options)


def _register() -> None:
    import polars as pl

    if not hasattr(pl.DataFrame, "write_questdb"):
        pl.api.register_dataframe_namespace("write_questdb")(WriteQuestDB)
    if not hasattr(pl.LazyFrame, "sink_questdb"):
        pl.api.register_lazyframe_namespace("sink_questdb")(SinkQuestDB)


class _Loader(Loader):
    """Polars' own loader, and the registration after it."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        """Whoever asks more of a loader, as for the module's source, gets it from polars' own."""
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> types.ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        # What polars keeps is its own loader, as if this one had not been here.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
        _register()


class _Finder(MetaPathFinder):
    """Finds polars as the other finders do. It stays until polars is loaded: many only ask whether it is there."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "polars":
            return None
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = None if find is None else find(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader)
                return spec
        return None


def register() -> None:
    """Register now if polars is loaded, else when it is."""
    if "polars" in sys.modules:
        _register()
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
