"""Which component and which file may import what (ARCHITECTURE.md, "Where to change what")."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from source_tree import PACKAGES, imported, modules, relative, tree

PACKAGE_OF = {name: path.name for name, path in PACKAGES.items()}
MAY_IMPORT = {
    "proto": {"antiphon_proto"},
    "gateway": {"antiphon_gateway", "antiphon_proto"},
    "workers": {"antiphon_workers", "antiphon_proto"},
    "client": {"antiphon", "antiphon_proto"},
}
ENGINES = "workers/antiphon_workers"
MODEL_LIBRARIES = {
    "faster_whisper": (f"{ENGINES}/stt/faster_whisper_engine.py",),
    "ctranslate2": (f"{ENGINES}/stt/faster_whisper_engine.py", f"{ENGINES}/stt/spliced_encoder.py"),
    "xllamacpp": (f"{ENGINES}/llm/llamacpp_engine.py",),
    "ollama": (f"{ENGINES}/llm/ollama_engine.py",),
    "httpx": (f"{ENGINES}/llm/ollama_engine.py",),
    "gguf": (f"{ENGINES}/llm/requantized.py",),
    "piper": (f"{ENGINES}/tts/piper_*.py",),
    "onnx": (f"{ENGINES}/tts/piper_*.py", "gateway/antiphon_gateway/silero_graph.py"),
    "onnxruntime": (
        f"{ENGINES}/stt/moonshine_engine.py",
        f"{ENGINES}/stt/smart_turn_engine.py",
        f"{ENGINES}/tts/piper_*.py",
        "gateway/antiphon_gateway/vad.py",
    ),
    "TTS": (f"{ENGINES}/tts/coqui_*.py",),
    "torch": (f"{ENGINES}/tts/coqui_*.py",),
    "transformers": (),
    "tokenizers": (),
    "av": (f"{ENGINES}/decoder/decoding.py", f"{ENGINES}/encoder.py"),
}
"""Each model library and the only files that may import it."""
ENVIRONMENT = frozenset({"os.environ", "os.environb", "os.getenv", "os.getenvb"})
UNSAFE = frozenset({"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle"})
UNSAFE_CALLS = frozenset({"send_pyobj", "recv_pyobj"})


def top_level(module: ast.AST) -> set[str]:
    return {name.partition(".")[0] for name in imported(module) if not name.startswith(".")}


def crossings(component: str, module: ast.AST) -> set[str]:
    """Return our packages that a module of a component must not import."""
    return (top_level(module) & set(PACKAGE_OF.values())) - MAY_IMPORT[component]


def misplaced_libraries(place: str, module: ast.AST) -> set[str]:
    return {
        library
        for library in top_level(module) & set(MODEL_LIBRARIES)
        if not any(fnmatch(place, allowed) for allowed in MODEL_LIBRARIES[library])
    }


def environment_reads(module: ast.AST) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ENVIRONMENT:
            yield ast.unparse(node)
    yield from (name for name in imported(module) if name in ENVIRONMENT)


def unsafe_codecs(module: ast.AST) -> Iterator[str]:
    yield from top_level(module) & UNSAFE
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and node.attr in UNSAFE_CALLS:
            yield node.attr


@pytest.mark.parametrize("component", PACKAGES)
def test_components_import_only_themselves_and_the_contracts(component: str) -> None:
    found = {relative(path): crossings(component, tree(path)) for path in modules(component)}
    assert {place: names for place, names in found.items() if names} == {}


def test_no_file_imports_relatively() -> None:
    relative_imports = {
        relative(path): name
        for path in modules()
        for name in imported(tree(path))
        if name.startswith(".")
    }
    assert relative_imports == {}


def test_only_engine_files_and_vad_import_model_libraries() -> None:
    found = {relative(path): misplaced_libraries(relative(path), tree(path)) for path in modules()}
    assert {place: names for place, names in found.items() if names} == {}


def test_only_channel_and_curve_import_zmq() -> None:
    importers = {relative(path) for path in modules() if "zmq" in top_level(tree(path))}
    assert importers == {f"proto/antiphon_proto/{name}.py" for name in ("channel", "curve")}


def test_only_the_configuration_reads_the_environment() -> None:
    readers = {relative(path) for path in modules() if any(environment_reads(tree(path)))}
    assert readers == {
        "proto/antiphon_proto/config.py",
        "proto/antiphon_proto/settings.py",
        "proto/antiphon_proto/stage_settings.py",
    }


def test_nothing_is_pickled() -> None:
    found = {relative(path): set(unsafe_codecs(tree(path))) for path in modules()}
    assert {place: names for place, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("component", "source"),
    [
        ("gateway", "from antiphon_workers import registry"),
        ("workers", "import antiphon_gateway.vad"),
        ("proto", "from antiphon_gateway import vad"),
        ("client", "import importlib\nimportlib.import_module('antiphon_workers.runner')"),
        ("workers", "def late():\n    from antiphon import up"),
    ],
)
def test_a_crossing_import_is_found(component: str, source: str) -> None:
    assert crossings(component, ast.parse(source))


@pytest.mark.parametrize(
    "source",
    ["import os\nos.environ['A']", "import os\nos.getenv('A')", "from os import environ"],
)
def test_a_read_of_the_environment_is_found(source: str) -> None:
    assert list(environment_reads(ast.parse(source)))


@pytest.mark.parametrize(
    "source", ["import pickle", "from marshal import loads", "socket.recv_pyobj()"]
)
def test_an_unsafe_codec_is_found(source: str) -> None:
    assert list(unsafe_codecs(ast.parse(source)))


def test_a_misplaced_model_library_is_found() -> None:
    module = ast.parse("import onnxruntime")
    assert misplaced_libraries("gateway/antiphon_gateway/session.py", module) == {"onnxruntime"}
    assert misplaced_libraries("gateway/antiphon_gateway/vad.py", module) == set()


def test_the_files_that_may_import_model_libraries_exist() -> None:
    places = {Path(relative(path)).as_posix() for path in modules()}
    missing = {
        allowed
        for files in MODEL_LIBRARIES.values()
        for allowed in files
        if not any(fnmatch(place, allowed) for place in places)
    }
    assert missing == set()
