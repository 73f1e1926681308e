"""What the texts of this project promise: settings that exist, links that lead somewhere."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from source_tree import ROOT, files, relative

from antiphon.__main__ import COMMANDS
from antiphon_gateway.realtime import client_events, server_events
from antiphon_gateway.turn_timings import STEPS
from antiphon_proto.config import Config

DOCUMENTS = sorted(files(".md"))
TEXTS = (".md", ".py", ".js", ".css", ".html", ".toml", ".lock", ".json", ".service", ".csv", "")
SECTIONS = msgspec.to_builtins(Config())

_FOREIGN_PLACES = re.compile(
    r"pypi\.org|python[h]osted|npmjs\.|artifactor[y]|index-url\s*=|/root[/]|/Users/\w|"
    r"(?<!file://)/home/\w"
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_ANCHOR = re.compile(r"^#+ (.+)$", re.MULTILINE)
_CODE = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
_SETTING = re.compile(r"(?:`|--set )([a-z_]+)\.([a-z_]+)(?==|`| = )")
_VARIABLE = re.compile(r"\bANTIPHON_([A-Z_]+?)__([A-Z_]+)")
_FILE_SUFFIXES = frozenset({"py", "js", "toml", "md", "service", "html", "css"})
_COMMAND = re.compile(r"(?<![\w-])antiphon ([a-z]+)")


def foreign_places(text: str) -> list[str]:
    return [match.group() for match in _FOREIGN_PLACES.finditer(text)]


def settings_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield every `section.key` that a text names as a setting."""
    for section, key in _SETTING.findall(text):
        if section in SECTIONS and key not in _FILE_SUFFIXES:
            yield section, key
    for section, key in _VARIABLE.findall(text):
        if section != "SECTION":
            yield section.lower(), key.lower()


def anchor(heading: str) -> str:
    """Return the fragment that a repository's page gives to a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Return the fragments that a page's headings have."""
    return {anchor(heading) for heading in _ANCHOR.findall(page.read_text(encoding="utf-8"))}


def broken_links(document: Path) -> list[str]:
    """Return the links of a document to files or headings that are not there."""
    broken: list[str] = []
    for link in _LINK.findall(_CODE.sub("", document.read_text(encoding="utf-8"))):
        place, _, fragment = link.partition("#")
        if "://" in place or place.startswith("mailto:"):
            continue
        target = (document.parent / place).resolve() if place else document
        if not target.exists() or (fragment and fragment not in anchors(target)):
            broken.append(link)
    return broken


def test_no_file_names_a_registry_or_a_home_directory() -> None:
    found = {
        relative(path): foreign_places(path.read_text(encoding="utf-8", errors="replace"))
        for path in files(*TEXTS)
    }
    assert {place: names for place, names in found.items() if names} == {}


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_links_lead_to_files_and_headings(document: Path) -> None:
    assert broken_links(document) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_named_settings_exist(document: Path) -> None:
    named = set(settings_in(document.read_text(encoding="utf-8")))
    unknown = {f"{section}.{key}" for section, key in named if key not in SECTIONS.get(section, {})}
    assert unknown == set()


def test_configuration_examples_are_accepted() -> None:
    examples = [
        (relative(document), body)
        for document in DOCUMENTS
        for language, body in _CODE.findall(document.read_text(encoding="utf-8"))
        if language == "toml"
    ]
    assert examples
    for _, body in examples:
        msgspec.convert(tomllib.loads(body), Config)


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_named_commands_exist(document: Path) -> None:
    code = "\n".join(body for _, body in _CODE.findall(document.read_text(encoding="utf-8")))
    code += "\n".join(re.findall(r"`([^`\n]+)`", document.read_text(encoding="utf-8")))
    assert set(_COMMAND.findall(code)) <= {*COMMANDS, "up"}


def event_types(module: object) -> set[str]:
    """Return the types of all events that a module defines."""
    return {
        tag
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct)
        if isinstance(tag := value.__struct_config__.tag, str) and ("." in tag or tag == "error")
    }


def test_the_compatibility_table_names_every_event_that_the_code_has() -> None:
    table = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    events = event_types(client_events) | event_types(server_events)
    assert {event for event in events if f"`{event}`" not in table} == set()


def test_the_turn_metrics_are_described_step_by_step() -> None:
    text = (ROOT / "gateway" / "README.md").read_text(encoding="utf-8")
    assert {step for step in STEPS if f"`{step}`" not in text} == set()


def test_component_readmes_name_every_file() -> None:
    unnamed: dict[str, set[str]] = {}
    for readme, package in (
        (ROOT / "proto" / "README.md", ROOT / "proto" / "antiphon_proto"),
        (ROOT / "gateway" / "README.md", ROOT / "gateway" / "antiphon_gateway"),
    ):
        text = readme.read_text(encoding="utf-8")
        names = {path.name for path in package.glob("*.py")} - {"__init__.py", "__main__.py"}
        unnamed[relative(readme)] = {name for name in names if f"`{name}`" not in text}
    assert {place: names for place, names in unnamed.items() if names} == {}


@pytest.mark.parametrize(
    "text", ["https://pypi" + ".org/simple", "see /ro" + "ot/x", "/ho" + "me/someone/antiphon"]
)
def test_a_foreign_place_is_found(text: str) -> None:
    assert foreign_places(text)


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("# Top\n[a](gone.md) [b](#top) [c](#bottom) [d](https://example.org)\n")
    assert broken_links(document) == ["gone.md", "#bottom"]


def test_a_setting_is_found_however_it_is_written() -> None:
    text = "`gateway.prot`, --set stt.modle=x, ANTIPHON_LLM__ENGIN, `session.created`, `log.py`"
    assert set(settings_in(text)) == {("gateway", "prot"), ("stt", "modle"), ("llm", "engin")}
