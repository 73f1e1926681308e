"""Pure: the example configuration, made from the settings' own documentation."""

import ast
import inspect
import itertools
import textwrap

import msgspec

from antiphon_proto.config import Config

_HEADER = """\
# Every setting of Antiphon with its default. Copy the lines you change into a file of your own and
# name it with --config FILE or $ANTIPHON_CONFIG. A setting is also a variable, such as
# ANTIPHON_GATEWAY__PORT=9000, and a flag, such as --set gateway.port=9000; the flag wins.
#
# Made by `antiphon config --example`; do not edit.
"""
_WIDTH = 96


def example() -> str:
    """Return a TOML file with every setting, its default, its limits and what it means."""
    sections = (_section(field.name, field.type) for field in msgspec.structs.fields(Config))
    return "\n".join([_HEADER, *sections])


def _section(name: str, kind: type[msgspec.Struct]) -> str:
    documented = _field_docs(kind)
    lines = [_comment(inspect.getdoc(kind) or ""), f"[{name}]"]
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"]
    for field in msgspec.structs.fields(kind):
        if field.name in documented:
            lines.append(_comment(documented[field.name]))
        default = msgspec.json.encode(msgspec.to_builtins(field.default)).decode()
        lines.append(f"{field.name} = {default}{_limits(schema[field.name])}")
    return "\n".join(lines) + "\n"


def _field_docs(kind: type) -> dict[str, str]:
    """Return the string that stands below each field in the source of a class."""
    module = inspect.getmodule(kind)
    assert module is not None
    tree = ast.parse(inspect.getsource(module))
    body = next(
        node.body
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    found = {}
    for field, below in itertools.pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            found[field.target.id] = inspect.cleandoc(str(below.value.value))
    return found


def _limits(schema: dict[str, object]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"  # {low} to {high}"
    return f"  # {low} or more" if low is not None else ""


def _comment(text: str) -> str:
    return "\n".join(f"# {line}" for line in textwrap.wrap(" ".join(text.split()), _WIDTH))
