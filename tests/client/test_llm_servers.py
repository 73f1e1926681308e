"""Servers of language models: found on this machine, asked, told to fetch; what is said of them."""

import json
from pathlib import Path

import model_servers
import pytest
from model_servers import ModelServer
from ports import free_port
from system import SIMULATED, running_system

from antiphon import doctor_checks, llm_notice, models_use
from antiphon.__main__ import main
from antiphon_proto import llm_servers, machine, models, proposals
from antiphon_proto.config import Config, load
from antiphon_proto.errors import StartupError
from antiphon_proto.llm_servers import LlmServer, ServedModel
from antiphon_proto.machine import Machine


def configuration(*settings: str) -> Config:
    return load(environment={}, settings=settings)


@pytest.mark.models
def test_what_a_server_has_is_listed(model_server: ModelServer) -> None:
    ollama = llm_servers.ask("ollama", model_server.ollama)
    assert ollama is not None
    assert llm_servers.has(ollama.models, model_servers.CHAT)
    assert ollama.models[0].size_bytes > 1e6
    other = llm_servers.ask("openai", model_server.openai)
    assert other == LlmServer("openai", model_server.openai, (ServedModel("smollm2"),))


@pytest.mark.models
def test_a_server_on_this_machine_is_found_and_looking_can_be_turned_off(
    model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", model_server.ollama)
    monkeypatch.setenv("OPENAI_BASE_URL", model_server.openai)
    found = llm_servers.found_here(configuration())
    assert {(each.engine, each.url) for each in found} >= {
        ("ollama", model_server.ollama),
        ("openai", model_server.openai),
    }
    [ollama] = [each for each in found if each.url == model_server.ollama]
    assert model_servers.EMBEDDING in {model.name for model in ollama.models}
    assert model_servers.EMBEDDING not in {model.name for model in ollama.offered}
    first = llm_notice.lines(configuration())[0]
    assert first.startswith("Ollama runs at ")
    assert f"antiphon models use ollama:{model_servers.CHAT}" in first
    assert llm_notice.lines(configuration("llm.engine=ollama")) == []
    assert llm_servers.found_here(configuration("llm.find_servers=false")) == []


def test_nobody_but_loopback_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(llm_servers, "ask", lambda engine, url: asked.append(url))
    llm_servers.found_here(configuration("llm.url=http://192.0.2.1:11434"))
    assert asked
    assert all(url.startswith("http://127.0.0.1:") for url in asked)
    assert "http://127.0.0.1:8080/v1" not in asked  # that is our own gateway's port


def test_our_own_server_is_not_offered() -> None:
    with running_system(SIMULATED) as server:
        assert llm_servers.ask("openai", f"{server.url}/v1") is None


def test_a_server_without_a_model_to_talk_with_gets_one_proposed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embedder = LlmServer("ollama", "u", (ServedModel("bge-m3", chats=False),))
    cloud = LlmServer("ollama", "u", (ServedModel("far:1t-cloud", is_here=False),))
    monkeypatch.setattr(machine, "look", lambda *, cards: Machine(8, 12_000_000_000))
    for servers in ([LlmServer("ollama", "u", ())], [embedder], [cloud]):
        proposed = proposals.proposal(servers, configuration())
        assert proposed is not None
        assert (proposed.name, proposed.url) == ("ollama:qwen3:4b-instruct", "u")
        said = llm_notice.proposal_notice(servers, proposed)
        assert "2.5 GB, licence Apache-2.0" in said
        assert "antiphon models pull ollama:qwen3:4b-instruct && antiphon models use" in said
    proposed = proposals.proposal([], configuration())
    assert proposed is not None
    assert proposed.name == "qwen3-4b"
    assert proposals.proposal([LlmServer("openai", "u", (ServedModel("m"),))], Config()) is None
    many = tuple(ServedModel(f"m{number}") for number in range(9))
    large = ServedModel("large:1t", 10**15)
    assert proposals.in_order(LlmServer("ollama", "u", (large, *many))) == [*many, large]
    assert "and 5 more" in llm_notice.notice(LlmServer("openai", "http://localhost:1/v1", many))


def test_without_a_server_up_proposes_what_fits_unless_another_model_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "look", lambda *, cards: Machine(2, 12_000_000_000))
    nobody = ("llm.find_servers=false", f"models.cache_dir={tmp_path}")
    [said] = llm_notice.lines(configuration(*nobody))
    assert "Qwen2.5 1.5B fits this machine (1.1 GB, licence Apache-2.0)" in said
    assert "antiphon models pull qwen2.5-1.5b && antiphon models use qwen2.5-1.5b" in said
    assert said.endswith(" --set llm.threads=2 --set llm.generation_threads=1")
    assert llm_notice.lines(configuration(*nobody, "llm.model=/some/file.gguf")) == []
    (tmp_path / "qwen2.5-1.5b").mkdir()
    with (tmp_path / "qwen2.5-1.5b" / "model.gguf").open("wb") as file:
        file.truncate(models.manifest()["qwen2.5-1.5b"].bytes)
    [said] = llm_notice.lines(configuration(*nobody))
    assert "is installed" in said
    assert "pull" not in said
    monkeypatch.setattr(machine, "look", lambda *, cards: Machine(1, 500_000_000))
    assert llm_notice.lines(configuration(*nobody)) == []


@pytest.mark.models
def test_a_pulled_model_is_there_with_its_licence(
    model_server: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = ["--set", f"llm.url={model_server.ollama}"]
    assert main(["models", "pull", "ollama:pullable:1b", *url]) == 0
    shown = capsys.readouterr().out
    assert "100 MB" in shown
    assert "licence: Apache" in shown
    assert main(["models", "pull", "--json", "ollama:pullable:1b", *url]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["total_bytes"] for line in lines} == {0, 100_000_000}
    assert main(["models", "list", *url]) == 0
    assert "ollama:pullable:1b" in capsys.readouterr().out


@pytest.mark.models
def test_a_model_that_does_not_exist_is_an_error_with_where_names_are(
    model_server: ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "pull", "ollama:nosuch", "--set", f"llm.url={model_server.ollama}"]) == 2
    assert "cannot pull nosuch" in capsys.readouterr().err


def test_without_the_server_the_commands_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    nobody = ["--set", f"llm.url=http://127.0.0.1:{free_port()}"]
    for action in ("pull", "use"):
        assert main(["models", action, "ollama:qwen3:4b", *nobody]) == 2
        assert "ollama serve" in capsys.readouterr().err
    assert main(["models", "list", *nobody]) == 0
    assert "smollm2-135m" in capsys.readouterr().out


@pytest.mark.models
def test_a_choice_is_checked_and_told_as_lines_of_a_configuration(
    model_server: ModelServer,
) -> None:
    here = configuration(f"llm.url={model_server.ollama}")
    lines = models_use.chosen(f"ollama:{model_servers.CHAT}", here).lines
    assert lines[:3] == ["[llm]", 'engine = "ollama"', f'model = "{model_servers.CHAT}"']
    assert load(environment={}).llm.context_tokens < models_use.SERVED_CONTEXT_TOKENS
    assert f"context_tokens = {models_use.SERVED_CONTEXT_TOKENS}" in lines
    with pytest.raises(StartupError, match="antiphon models pull ollama:other"):
        models_use.chosen("ollama:other", here)
    with pytest.raises(StartupError, match="antiphon models list"):
        models_use.chosen("no-such-model", here)


@pytest.mark.models
def test_the_doctor_looks_at_the_server(model_server: ModelServer) -> None:
    def check(engine: str, url: str, model: str) -> doctor_checks.Check:
        settings = (f"llm.engine={engine}", f"llm.url={url}", f"llm.model={model}")
        return doctor_checks.llm_server(configuration(*settings))

    assert check("ollama", model_server.ollama, model_servers.CHAT).level == "ok"
    assert check("openai", model_server.openai, "").level == "ok"
    absent = check("ollama", model_server.ollama, "other")
    assert (absent.level, absent.fix) == ("FAIL", "run: antiphon models pull ollama:other")
    gone = check("ollama", f"http://127.0.0.1:{free_port()}", "other")
    assert (gone.level, gone.fix) == ("FAIL", "start it with: ollama serve")
