"""pandas frames: NumPy-backed columns are read from their own buffers, without pyarrow; Arrow-backed ones as Arrow.

NaN in float columns stays NaN; `pd.NA`, None and NaT are missing. The index is never a column: a DatetimeIndex is
handed over beside the columns, marked, and only serves as `at`; that a named one is not written is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from questframe._options import is_unicode
from questframe._questframe import Columns
from questframe.exceptions import IngressError, IngressErrorCode, quoted, together

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def is_frame(data: object) -> bool:
    """Whether `data` is a pandas DataFrame. Its module is loaded if so."""
    import pandas as pd

    return isinstance(data, pd.DataFrame)


def advice(data: object) -> str | None:
    """What to do with other objects of pandas."""
    import pandas as pd

    if isinstance(data, pd.Series):
        return "make it a frame: series.to_frame()"
    return None


def columns_of(frame: pd.DataFrame, at: object) -> Columns:
    """The frame's columns, read in place where their memory allows it, and its DatetimeIndex as a candidate for `at`.

    Raises:
        IngressError: everything that is wrong, together: BadDataFrame for a column that has no Arrow form, naming the
            row where a cell is to blame; InvalidName for a name that is no string; InvalidApiCall if `at` names an
            index that is no DatetimeIndex.
    """
    columns = Columns(len(frame))
    found: list[IngressError] = []
    unnamed = False
    # Much faster than to look each column up by its position.
    for label, series in frame.items():
        if not isinstance(label, str):
            # Mostly all of them are so: one problem.
            if not unnamed:
                found.append(_bad_label(frame))
            unnamed = True
            continue
        error = _problem_of(columns, label, series)
        if error is not None:
            found.append(error)
    try:
        _add_index(columns, frame, at)
    except IngressError as error:
        found.append(error)
    if found:
        raise together(found, columns if len(found) < len(frame.columns) and not unnamed else None)
    return columns


def _problem_of(columns: Columns, label: str, series: pd.Series[Any]) -> IngressError | None:
    """Add the column; what is wrong with it is told with that of others."""
    if not is_unicode(label):
        msg = f"column {quoted(label)}: the name holds lone surrogates and is not valid Unicode; rename it"
        return IngressError(IngressErrorCode.InvalidUtf8, msg, column=label)
    try:
        _add(columns, label, series)
    except IngressError as error:
        # What is wrong with others is told with it, for which the frame has to be whole.
        columns.objects(label, [None] * len(series))
        return error
    return None


def _bad_label(frame: pd.DataFrame) -> IngressError:
    """About the labels that are no strings: the first of them, and how many there are."""
    position, label = next(found for found in enumerate(frame.columns) if not isinstance(found[1], str))
    count = sum(not isinstance(label, str) for label in frame.columns)
    more = {1: "", 2: " (so has one more)"}.get(count, f" (so have {count - 1} more)")
    # To rename the columns of a MultiIndex renames its levels.
    joined = 'frame.columns = ["_".join(map(str, name)) for name in frame.columns]'
    cure = joined if frame.columns.nlevels > 1 else "frame.rename(columns=str)"
    msg = (
        f"column {label!r} at position {position} has a name of type {type(label).__name__}{more}; QuestDB's column "
        f"names are strings: rename it, as with {cure}"
    )
    return IngressError(IngressErrorCode.InvalidName, msg, column=str(label))


def _add_index(columns: Columns, frame: pd.DataFrame, at: object) -> None:
    import pandas as pd

    index = frame.index
    own = index.name if isinstance(index.name, str) and index.name else "index"
    if isinstance(index, pd.DatetimeIndex):
        # A column goes before an index of the same name, as after set_index(..., drop=False).
        for name in (own, "index") if at == "index" else (own,):
            if name not in frame.columns:
                error = _problem_of(columns, name, pd.Series(index, copy=False))
                if error is not None:
                    raise error
                columns.mark_index()
                return
    elif isinstance(at, str) and at not in frame.columns and at in {"index", *index.names}:
        cure = "reset_index() and pandas.to_datetime()"
        if isinstance(index, pd.PeriodIndex):
            cure = "to_timestamp().reset_index(), without pandas.to_datetime()"
        msg = (
            f"`at` names the frame's index, which is a {type(index).__name__}, not a DatetimeIndex; make it a column "
            f"of datetimes with frame.{cure}, and name that"
        )
        raise IngressError(IngressErrorCode.InvalidApiCall, msg, column=at)
    # One without a name numbers the rows, and one that is a column, too, is written.
    names = [name for name in index.names if name is not None and name not in frame.columns]
    if names:
        columns.name_index(", ".join(quoted(name) if isinstance(name, str) else repr(name) for name in names))
    elif index.nlevels > 1 and None in index.names:
        columns.name_index(f"{index.nlevels} levels")
    elif isinstance(index, pd.DatetimeIndex) and index.name is None:
        columns.name_index("times")


def _add(columns: Columns, name: str, series: pd.Series[Any]) -> None:
    import numpy as np
    import pandas as pd

    # pandas' stubs know fewer types than pandas.
    dtype: Any = series.dtype
    array: Any = series.array
    if isinstance(dtype, np.dtype):
        values: Any = series.values  # noqa: PD011 - of a NumPy type it is that array, and quicker than to_numpy()
        _add_numpy(columns, name, values, None)
    elif isinstance(dtype, pd.DatetimeTZDtype):
        # The same instants without their zone: a view, and the zone is only a name to us.
        utc = series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
        _add_numpy(columns, name, utc, str(dtype.tz))
    elif isinstance(dtype, pd.CategoricalDtype):
        _add_categories(columns, name, series, array)
    elif hasattr(array, "__arrow_array__") and _is_arrow(series):
        import pyarrow as pa

        columns.arrow(name, pa.chunked_array(pa.array(array)))
    elif isinstance(dtype, pd.SparseDtype):
        _add(columns, name, pd.Series(array.to_dense(), copy=False))
    elif isinstance(dtype, pd.StringDtype):
        columns.objects(name, series.astype(object).tolist())
    elif hasattr(dtype, "numpy_dtype"):
        # pandas' own nullable numbers and booleans: values and mask.
        mask = series.isna().to_numpy()
        filler = False if dtype.numpy_dtype.kind == "b" else 0
        _add_numpy(columns, name, series.to_numpy(dtype=dtype.numpy_dtype, na_value=filler), mask)
    else:
        cure = _CURES.get(type(dtype).__name__, "cast it, for instance with astype(str)")
        msg = f"column {quoted(name)}: pandas type {dtype} is not supported; {cure}"
        raise IngressError(IngressErrorCode.BadDataFrame, msg, column=name)


_CURES = {
    "PeriodDtype": "make instants of its periods with series.dt.to_timestamp()",
    "IntervalDtype": "split it into two columns: pandas.IntervalIndex(series).left and .right",
}


def _is_arrow(series: pd.Series[Any]) -> bool:
    """Whether the values lie in pyarrow's memory."""
    import pandas as pd

    dtype = series.dtype
    if isinstance(dtype, pd.StringDtype):
        return bool(dtype.storage == "pyarrow")
    return isinstance(dtype, pd.ArrowDtype)


def memory_of(array: np.ndarray[Any, Any]) -> tuple[int, int, int, object]:
    """Address, items, item size and owner of the array's memory; a copy only if that is strided or foreign."""
    ready = array
    # Mostly it is neither, which is quicker to see than to require.
    if not (array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative):
        import numpy as np

        ready = np.require(array, dtype=array.dtype.newbyteorder("="), requirements=["C_CONTIGUOUS", "ALIGNED"])
    address = ready.__array_interface__["data"][0]
    return address, ready.size, ready.itemsize, ready


def _add_numpy(columns: Columns, name: str, array: np.ndarray[Any, Any], extra: Any) -> None:
    import numpy as np

    kind = array.dtype.kind
    if kind == "b":
        columns.booleans(name, memory_of(array), None if extra is None else memory_of(extra))
    elif kind in "iuf" and array.dtype.itemsize <= 8:  # noqa: PLR2004
        typestr = f"{kind}{array.dtype.itemsize}"
        columns.numbers(name, typestr, memory_of(array), None if extra is None else memory_of(extra))
    elif kind in "mM":
        unit, count = np.datetime_data(array.dtype)
        if count != 1 or unit not in {"s", "ms", "us", "ns"}:
            msg = f"column {quoted(name)}: type {array.dtype} is not supported; cast it to datetime64[us]"
            raise IngressError(IngressErrorCode.BadDataFrame, msg, column=name)
        columns.times(name, kind, unit, extra, memory_of(array.view(array.dtype.str.replace(kind, "i")[:3])))
    elif kind == "O":
        # Arrays are read where they are, if they can be.
        if not columns.lists(name, array):
            columns.objects(name, array.tolist())
    else:
        cure = {
            "f": "cast it to float64, as with astype('float64')",
            "c": "split it into two columns: series.to_numpy().real and series.to_numpy().imag",
            "S": "decode it with series.str.decode('utf-8')",
            "V": "split it into one column per field",
        }.get(kind, "cast it to float64 or to a string")
        msg = f"column {quoted(name)}: NumPy type {array.dtype} has no form in ILP; {cure}"
        raise IngressError(IngressErrorCode.BadDataFrame, msg, column=name)


def _add_categories(columns: Columns, name: str, series: pd.Series[Any], array: pd.Categorical) -> None:
    import numpy as np
    import pandas as pd

    # Not by `series.cat`, which takes longer to make than a short column to write.
    categories = array.categories
    listed = categories.tolist()
    if all(isinstance(category, str) for category in listed):
        codes: np.ndarray[Any, Any] = array.codes
        try:
            columns.categories(name, f"i{codes.dtype.itemsize}", memory_of(codes), [str(text) for text in listed])
        except UnicodeEncodeError:
            # Names the row that has it; a category that no row has does no harm.
            Columns(len(series)).objects(name, series.astype(object).tolist())
            used = array.remove_unused_categories()
            _add_categories(columns, name, series, used)
    else:
        # Categories of numbers and the like are what they stand for, in a type that knows missing ones. Not by
        # `astype`: where a value is missing that takes integers through floats.
        values = categories.array
        if isinstance(categories.dtype, np.dtype) and categories.dtype.kind in "biuf":
            bits = 8 * categories.dtype.itemsize
            dtype: Any = {"b": "boolean", "i": f"Int{bits}", "u": f"UInt{bits}", "f": f"Float{bits}"}[
                categories.dtype.kind
            ]
            values = pd.array(categories.to_numpy(), dtype=dtype)
        _add(columns, name, pd.Series(values.take(array.codes.astype(np.intp), allow_fill=True), copy=False))
