"""Where tests name which events of the Realtime API; writes that into docs/compatibility.md.

`python tests/support/conformance.py` rewrites the last column of the tables of events.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "compatibility.md"
_TABLES = ("## Client events", "## Server events")
_ROW = re.compile(
    r"^\| (?P<events>`[^|]*) \| (?P<state>[^|]*) \| (?P<note>.*?) ?\|(?P<tests>[^|]*)\|$"
)
_NAME = re.compile(r"`([a-z_.*]+)`")
_NOT_EVIDENCE = {"test_rules_text.py", "test_conformance.py"}


def names_in(row: str) -> list[str]:
    """Return the events of the first column of a row; `.done` names a sibling of the one before."""
    names: list[str] = []
    for name in _NAME.findall(row):
        whole = names[-1].rpartition(".")[0] + name if name.startswith(".") else name
        names.append(whole)
    return names


def evidence() -> dict[str, set[str]]:
    """Return, for each string in the tests, the directories of tests that hold it."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if path.name in _NOT_EVIDENCE:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.setdefault(node.value, set()).add(path.relative_to(ROOT).parts[1])
    return found


def render(text: str) -> str:
    """Return the document with its last columns as the tests are now."""
    seen = evidence()
    lines: list[str] = []
    section = ""
    for line in text.splitlines():
        section = line if line.startswith("## ") else section
        row = _ROW.match(line)
        if section in _TABLES and row is not None:
            tests = sorted(
                {test for name in names_in(row["events"]) for test in seen.get(name, ())}
            )
            line = f"| {row['events']} | {row['state']} | {row['note']} | {', '.join(tests)} |"
        lines.append(line)
    return "\n".join(lines) + "\n"


def rows(text: str) -> list[tuple[list[str], str, str]]:
    """Return the events, the state and the tests of each row of the tables of events."""
    found = []
    section = ""
    for line in text.splitlines():
        section = line if line.startswith("## ") else section
        row = _ROW.match(line)
        if section in _TABLES and row is not None:
            found.append((names_in(row["events"]), row["state"].strip(), row["tests"].strip()))
    return found


if __name__ == "__main__":
    TABLE.write_text(render(TABLE.read_text(encoding="utf-8")), encoding="utf-8")
