"""What a Dockerfile says: its instructions, stage by stage. Only what ours uses."""

import json
import re
from pathlib import Path
from typing import NamedTuple


class Instruction(NamedTuple):
    """One instruction, such as `COPY` and `web/ web/`; continued lines are joined."""

    name: str
    text: str

    def words(self) -> list[str]:
        """Return the arguments of the JSON form."""
        words: list[str] = json.loads(self.text[self.text.index("[") :])
        return words


def stages(path: Path) -> list[list[Instruction]]:
    """Return the instructions of each stage, beginning with its `FROM`."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found: list[list[Instruction]] = []
    for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            found.append([])
        if name and found:
            found[-1].append(Instruction(name, rest.strip()))
    return found


def copied(stage: list[Instruction]) -> list[str]:
    """Return what a stage copies from the build's context."""
    texts = [instruction.text for instruction in stage if instruction.name == "COPY"]
    sources = [text.split()[:-1] for text in texts if not text.startswith("--from")]
    return [source.rstrip("/") for words in sources for source in words]
