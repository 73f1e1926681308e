"""Servers of language models: found on this machine, asked, told to fetch; what is said of them."""

import model_servers
import pytest
from ports import free_port
from system import SIMULATED, running_system

from antiphon import doctor_checks, llm_notice, llm_servers, models_use
from antiphon.__main__ import main
from antiphon.llm_servers import LlmServer, ServedModel
from antiphon_proto.config import Config, load
from antiphon_proto.errors import StartupError


@pytest.fixture(scope="module")
def server() -> model_servers.ModelServer:
    try:
        return model_servers.shared()
    except StartupError as exc:
        pytest.skip(str(exc))


def configuration(*settings: str) -> Config:
    return load(environment={}, settings=settings)


@pytest.mark.models
def test_what_a_server_has_is_listed(server: model_servers.ModelServer) -> None:
    ollama = llm_servers.ask("ollama", server.ollama)
    assert ollama is not None
    assert llm_servers.has(ollama.models, model_servers.CHAT)
    assert ollama.models[0].size_bytes > 1e6
    other = llm_servers.ask("openai", server.openai)
    assert other == LlmServer("openai", server.openai, (ServedModel("smollm2"),))


@pytest.mark.models
def test_a_server_on_this_machine_is_found_and_looking_can_be_turned_off(
    server: model_servers.ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_HOST", server.ollama)
    monkeypatch.setenv("OPENAI_BASE_URL", server.openai)
    found = llm_servers.found_here(configuration())
    assert {(each.engine, each.url) for each in found} >= {
        ("ollama", server.ollama),
        ("openai", server.openai),
    }
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


def test_a_server_without_a_model_is_told_how_to_get_one() -> None:
    assert "antiphon models pull ollama:" in llm_notice.notice(LlmServer("ollama", "u", ()))
    many = tuple(ServedModel(f"m{number}") for number in range(9))
    assert "and 5 more" in llm_notice.notice(LlmServer("openai", "http://localhost:1/v1", many))


@pytest.mark.models
def test_a_pulled_model_is_there_with_its_licence(
    server: model_servers.ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = ["--set", f"llm.url={server.ollama}"]
    assert main(["models", "pull", f"ollama:{model_servers.PULLABLE}", *url]) == 0
    shown = capsys.readouterr().out
    assert "100 MB" in shown
    assert "licence: Apache" in shown
    assert main(["models", "list", *url]) == 0
    assert f"ollama:{model_servers.PULLABLE}" in capsys.readouterr().out


@pytest.mark.models
def test_a_model_that_does_not_exist_is_an_error_with_where_names_are(
    server: model_servers.ModelServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "pull", "ollama:nosuch", "--set", f"llm.url={server.ollama}"]) == 2
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
    server: model_servers.ModelServer,
) -> None:
    here = configuration(f"llm.url={server.ollama}")
    lines = models_use.chosen(f"ollama:{model_servers.CHAT}", here).lines
    assert lines[:3] == ["[llm]", 'engine = "ollama"', f'model = "{model_servers.CHAT}"']
    assert load(environment={}).llm.context_tokens < models_use.SERVED_CONTEXT_TOKENS
    assert f"context_tokens = {models_use.SERVED_CONTEXT_TOKENS}" in lines
    with pytest.raises(StartupError, match="antiphon models pull ollama:other"):
        models_use.chosen("ollama:other", here)
    with pytest.raises(StartupError, match="antiphon models list"):
        models_use.chosen("no-such-model", here)


@pytest.mark.models
def test_the_doctor_looks_at_the_server(server: model_servers.ModelServer) -> None:
    def check(engine: str, url: str, model: str) -> doctor_checks.Check:
        settings = (f"llm.engine={engine}", f"llm.url={url}", f"llm.model={model}")
        return doctor_checks.llm_server(configuration(*settings))

    assert check("ollama", server.ollama, model_servers.CHAT).level == "ok"
    assert check("openai", server.openai, "").level == "ok"
    absent = check("ollama", server.ollama, "other")
    assert (absent.level, absent.fix) == ("FAIL", "run: antiphon models pull ollama:other")
    gone = check("ollama", f"http://127.0.0.1:{free_port()}", "other")
    assert (gone.level, gone.fix) == ("FAIL", "start it with: ollama serve")
