"""What is said of the public names is true: stubs and run time agree, everything has a docstring, examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import typing
from pathlib import Path
from typing import Any

import pytest

import questframe as qf
from questframe import _option_types, _options, _questframe, local

PACKAGE = Path(qf.__file__).parent
STUB = ast.parse((PACKAGE / "_questframe.pyi").read_text())
CLASSES = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}
FUNCTIONS = {node.name: node for node in STUB.body if isinstance(node, ast.FunctionDef)}
DOCTESTED = [
    "questframe",
    *(f"questframe.{name}" for name in ("_api", "_options", "_timestamps", "exceptions", "types")),
    *(f"questframe.ingress.{name}" for name in ("_buffer", "_sender", "_transaction")),
]


def shape_of_stub(node: ast.FunctionDef) -> list[tuple[str, str, bool]]:
    """Name, kind and whether there is a default, for each argument."""
    arguments = node.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = len(plain) - len(arguments.defaults)
    shape = [(a.arg, "positional", i >= defaults) for i, a in enumerate(plain)]
    if arguments.vararg:
        shape.append((arguments.vararg.arg, "positional", False))
    shape += [
        (a.arg, "keyword", d is not None) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    if arguments.kwarg:
        shape.append((arguments.kwarg.arg, "positional", False))
    return [each for each in shape if each[0] not in {"self", "cls"}]


def shape_at_run_time(function: Any) -> list[tuple[str, str, bool]]:
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        kind = "keyword" if parameter.kind is parameter.KEYWORD_ONLY else "positional"
        found.append((name, kind, parameter.default is not parameter.empty))
    return [each for each in found if each[0] not in {"self", "cls"}]


def is_property(node: ast.FunctionDef) -> bool:
    return any(isinstance(each, ast.Name) and each.id == "property" for each in node.decorator_list)


def public(names: Any) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def test_the_stub_names_everything_of_the_compiled_part() -> None:
    assert public(vars(_questframe)) == set(CLASSES) | set(FUNCTIONS)
    assert _questframe.__version__ == qf.__version__


@pytest.mark.parametrize("name", CLASSES)
def test_classes_have_the_members_of_their_stub(name: str) -> None:
    kind = getattr(_questframe, name)
    members = {node.name: node for node in CLASSES[name].body if isinstance(node, ast.FunctionDef)}
    assert public(vars(kind)) == public(members)
    assert ("_repr_html_" in vars(kind)) == ("_repr_html_" in members)
    assert ("__new__" in vars(kind)) == ("__new__" in members)
    for member, node in members.items():
        found = inspect.getattr_static(kind, member)
        if is_property(node):
            assert inspect.isgetsetdescriptor(found), member
        elif member == "__new__":
            assert shape_at_run_time(kind) == shape_of_stub(node)
        else:
            assert shape_at_run_time(found) == shape_of_stub(node), member
    if any(isinstance(each, ast.Name) and each.id == "final" for each in CLASSES[name].decorator_list):
        with pytest.raises(TypeError):
            type("Sub", (kind,), {})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_have_the_arguments_of_their_stub(name: str) -> None:
    assert shape_at_run_time(getattr(_questframe, name)) == shape_of_stub(FUNCTIONS[name])


def test_the_stub_types_values_as_they_are() -> None:
    """Every property's annotation, on live objects."""
    plan = qf.plan(frame_of_one_row(), table="t")
    for thing in (plan, plan.columns[0]):
        kinds = {node.name: node for node in CLASSES[type(thing).__name__].body if isinstance(node, ast.FunctionDef)}
        for name, node in kinds.items():
            if is_property(node) and node.returns is not None:
                allowed = ast.unparse(node.returns)
                value = getattr(thing, name)
                assert type(value).__name__ in allowed.replace("None", "NoneType"), (name, allowed, value)


def frame_of_one_row() -> Any:
    import polars as pl

    return pl.DataFrame({"a": [1], "ts": pl.Series([1], dtype=pl.Datetime("us"))})


# --- docstrings -----------------------------------------------------------------------------------------------------


def test_all_is_complete_and_importable() -> None:
    for module in (qf, local):
        assert len(set(module.__all__)) == len(module.__all__)
        for name in module.__all__:
            assert hasattr(module, name)
    modules = {"annotations", "importlib", "exceptions", "ingress", "local", "types", "TYPE_CHECKING"}
    assert public(vars(qf)) - modules == public(qf.__all__)


@pytest.mark.parametrize("name", [*qf.__all__, *(f"local.{name}" for name in local.__all__)])
def test_public_names_have_docstrings(name: str) -> None:
    thing = getattr(local, name[6:]) if name.startswith("local.") else getattr(qf, name)
    if isinstance(thing, str):
        return
    if not inspect.isclass(thing) and not inspect.isfunction(thing):
        thing = type(thing)
    if thing.__module__.startswith("questframe") and thing.__name__ in CLASSES and thing is not qf.Client:
        described = {thing.__name__: ast.get_docstring(CLASSES[thing.__name__])}
        members = [node for node in CLASSES[thing.__name__].body if isinstance(node, ast.FunctionDef)]
        described |= {node.name: ast.get_docstring(node) for node in members if not node.name.startswith("_")}
    else:
        described = {thing.__name__: vars(thing)["__doc__"] if inspect.isclass(thing) else thing.__doc__}
        for member, value in vars(thing).items() if inspect.isclass(thing) else ():
            if not member.startswith("_") and (callable(value) or isinstance(value, (property, classmethod))):
                described[member] = inspect.getdoc(value)
    for member, text in described.items():
        assert text, f"{name}.{member}"
        assert text.strip().split("\n")[0].endswith((".", ";", ":")), f"{name}.{member}"


@pytest.mark.parametrize("kind", ["PlanOptions", "CheckedPlanOptions", "WriteOptions"])
def test_every_option_is_described_and_checked(kind: str) -> None:
    options = getattr(_option_types, kind)
    described = [
        line.split(":")[0].strip() for line in inspect.getdoc(options).splitlines() if line[:4] == "    " != line[4:8]
    ]
    assert described == list(options.__annotations__)[-len(described) :]
    known = {
        "PlanOptions": _options.PLAN,
        "CheckedPlanOptions": _options.CHECKED_PLAN,
        "WriteOptions": _options.WRITE,
    }
    assert known[kind] == set(typing.get_type_hints(options))


def test_the_contract_of_the_functions() -> None:
    assert str(inspect.signature(qf.write_questdb)).startswith("(data: 'Frame', conf: 'str | None' = None, **options")
    assert [p.name for p in inspect.signature(qf.to_ilp).parameters.values()] == ["data", "out", "options"]
    assert [p.name for p in inspect.signature(qf.plan).parameters.values()] == ["data", "conf", "options"]
    assert [p.name for p in inspect.signature(qf.connect).parameters.values()] == ["conf"]
    assert {"write", "awrite", "plan", "ping", "server_info", "drain_spool", "close"} == public(vars(qf.Client))
    assert issubclass(qf.IngressTypeError, (qf.IngressError, TypeError))
    assert [code.value for code in qf.IngressErrorCode] == list(range(15))
    assert str(qf.IngressErrorCode.ConfigError) == "ConfigError"
    error = qf.IngressError(qf.IngressErrorCode.ServerFlushError, "text", acked=(range(3), range(5, 6)))
    assert (error.args, str(error), error.rows_acked, error.in_doubt) == (("text",), "text", 4, False)


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


# --- what people look at ----------------------------------------------------------------------------------------------


def test_a_plan_prints_as_a_table() -> None:
    import polars as pl

    sides = pl.Series("side", ["buy", "sell"] * 50)
    frame = pl.DataFrame({"side": sides, "price": [0.5] * 100, "nothing": [None] * 100}).with_columns(
        ts=pl.int_range(100).cast(pl.Datetime("ns"))
    )
    plan = qf.plan(frame, table="a<b")
    lines = repr(plan).splitlines()
    for name, *words in (
        ("side", "field", "VARCHAR", "symbol"),
        ("price", "Float64", "DOUBLE"),
        ("nothing", "Null", "skipped"),
        ("ts", "Timestamp", "designated timestamp", "TIMESTAMP_NS"),
    ):
        (line,) = [line for line in lines if line.strip(" |│").startswith(name)]
        assert [word for word in words if word not in line] == []
    assert "a&lt;b" in plan._repr_html_()
    assert "a<b" not in plan._repr_html_()
    assert (plan.at, plan.table, plan.protocol_version) == ("ts", "a<b", 3)


@pytest.mark.parametrize("name", DOCTESTED)
def test_examples_in_docstrings_run(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    assert result.attempted > 0 or name.endswith(("_options", "types"))
