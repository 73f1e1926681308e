"""The project's own files, read for the tests that enforce rules on them."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "proto": ROOT / "proto" / "antiphon_proto",
    "gateway": ROOT / "gateway" / "antiphon_gateway",
    "workers": ROOT / "workers" / "antiphon_workers",
    "client": ROOT / "client" / "antiphon",
}

_FOREIGN = {".git", "node_modules", "__pycache__", "dist", "build", "test-results"}


def files(*suffixes: str) -> Iterator[Path]:
    """Yield the project's files with one of these suffixes; not what tools made or installed."""
    for directory, subdirectories, names in os.walk(ROOT):
        subdirectories[:] = [
            name
            for name in subdirectories
            if name not in _FOREIGN and not (name.startswith(".") and name != ".ci")
        ]
        for name in names:
            path = Path(directory, name)
            if path.suffix in suffixes and not path.is_symlink():
                yield path


def modules(*components: str) -> list[Path]:
    """Return the Python files of components, of all four when none is named."""
    roots = [PACKAGES[name] for name in components or PACKAGES]
    return sorted(path for root in roots for path in root.rglob("*.py"))


def relative(path: Path) -> str:
    """Return a path as it is written in a message."""
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(module: ast.AST) -> Iterator[str]:
    """Yield the dotted name of everything imported, also inside functions and by name."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            yield from (f"{prefix}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and called(node).endswith("import_module"):
            literals = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
            yield from (name for name in literals if isinstance(name, str))


def called(call: ast.Call) -> str:
    """Return the dotted name of what is called; empty when it is no name."""
    return ast.unparse(call.func) if isinstance(call.func, ast.Name | ast.Attribute) else ""


def calls(module: ast.AST) -> Iterator[ast.Call]:
    """Yield every call."""
    return (node for node in ast.walk(module) if isinstance(node, ast.Call))
