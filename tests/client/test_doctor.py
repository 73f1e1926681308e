"""`antiphon doctor`: what it finds, and the fix it names."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ports import free_port

from antiphon import doctor_checks
from antiphon.__main__ import main
from antiphon_proto import open_files
from antiphon_proto.audio import Resampler
from antiphon_proto.config import Config, load
from antiphon_proto.models import manifest


def configuration(*settings: str) -> Config:
    return load(environment={}, settings=settings)


@contextmanager
def answering(body: object) -> Iterator[int]:
    """Serve one JSON body to every GET; yields the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_old_python_fails_with_what_to_install() -> None:
    check = doctor_checks.python((3, 10))
    assert check.level == "FAIL"
    assert "3.11" in check.fix


def test_the_packages_of_the_configured_engines_are_asked_for() -> None:
    checks = {check.text: check for check in doctor_checks.packages(configuration())}
    assert checks["tts: packages of engine piper"].level == "ok"
    absent = list(doctor_checks.packages(configuration("tts.engine=moonshine")))[-1]
    assert (absent.level, absent.text) == ("FAIL", "tts: there is no engine moonshine")


def test_a_missing_model_fails_with_its_pull_command(tmp_path: Path) -> None:
    config = configuration(f"models.cache_dir={tmp_path}")
    fixes = [check.fix for check in doctor_checks.model_files(config, deep=False)]
    assert "run: antiphon models pull smollm2-135m" in fixes
    assert "run: antiphon models pull smart-turn" in fixes


@pytest.mark.parametrize("setting", ["stt.turn_end_model=", "stt.engine=simulated"])
def test_an_end_of_turn_model_that_is_not_used_is_not_asked_for(
    setting: str, tmp_path: Path
) -> None:
    config = configuration(f"models.cache_dir={tmp_path}", setting)
    texts = [check.text for check in doctor_checks.model_files(config, deep=False)]
    assert texts
    assert not any("smart-turn" in text for text in texts)


def test_only_an_unknown_name_of_a_speech_model_may_be_on_the_hub() -> None:
    config = configuration("stt.model=some/whisper", "llm.model=/nowhere/model.gguf")
    levels = {check.text: check.level for check in doctor_checks.model_files(config, deep=False)}
    assert levels["model some/whisper is neither a path nor in the manifest"] == "warn"
    [text] = [text for text in levels if "/nowhere/model.gguf" in text]
    assert levels[text] == "FAIL"


def test_engines_without_local_models_need_none(tmp_path: Path) -> None:
    config = configuration(
        f"models.cache_dir={tmp_path}", "llm.engine=simulated", "llm.model=anything"
    )
    texts = [check.text for check in doctor_checks.model_files(config, deep=False)]
    assert not any("anything" in text for text in texts)


def test_deep_finds_a_damaged_model(tmp_path: Path) -> None:
    entry = manifest()["silero-vad"]
    (tmp_path / entry.name).mkdir()
    with (tmp_path / entry.name / entry.files[0].name).open("wb") as stream:
        stream.truncate(entry.files[0].bytes)
    config = configuration(f"models.cache_dir={tmp_path}")
    assert next(doctor_checks.model_files(config, deep=False)).level == "ok"
    damaged = next(doctor_checks.model_files(config, deep=True))
    assert damaged.level == "FAIL"
    assert entry.files[0].name in damaged.text


def test_a_free_port_is_ok() -> None:
    assert doctor_checks.port(configuration(f"gateway.port={free_port()}")).level == "ok"


def test_a_port_of_another_program_fails() -> None:
    with answering({"hello": "world"}) as port:
        check = doctor_checks.port(configuration(f"gateway.port={port}"))
    assert check.level == "FAIL"
    assert check.fix == f"choose another: antiphon up --port {port + 1}"


@pytest.mark.parametrize(("ready", "level"), [(True, "ok"), (False, "warn")])
def test_a_server_of_ours_is_recognised(ready: bool, level: str) -> None:
    body = {"ready": ready, "stages": {"stt": {"ready": ready, "reason": "loading the model"}}}
    with answering(body) as port:
        check = doctor_checks.port(configuration(f"gateway.port={port}"))
    assert check.level == level
    assert ("stt: loading the model" in check.text) is not ready


def test_small_machines_are_warned_about() -> None:
    assert doctor_checks.cores(1).level == "warn"
    assert doctor_checks.cores(2).level == "ok"
    assert doctor_checks.memory(1_000_000_000).level == "warn"
    assert doctor_checks.memory(8_000_000_000).level == "ok"


def test_a_system_that_allows_too_few_files_fails_with_what_would_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = configuration("gateway.max_sessions=64")
    needed = open_files.needed(config)
    monkeypatch.setattr(open_files, "most", lambda: needed)
    assert doctor_checks.files_at_a_time(config).level == "ok"
    monkeypatch.setattr(open_files, "most", lambda: needed - 1)
    check = doctor_checks.files_at_a_time(config)
    assert check.level == "FAIL"
    assert check.fix.endswith("or set gateway.max_sessions=63")


def test_one_failure_makes_the_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private = tmp_path / "run"
    private.mkdir(mode=0o700)
    arguments = ["doctor", "--set", f"gateway.port={free_port()}"]
    arguments += ["--set", f"bus.runtime_dir={private}"]
    arguments += ["--set", f"models.cache_dir={tmp_path}"]
    assert main(arguments) == 1
    shown = capsys.readouterr().out
    assert "FAIL  model silero-vad is not installed" in shown
    assert f"ok  runtime directory {private}" in shown


def test_sound_survives_the_change_of_sample_rates() -> None:
    assert doctor_checks.sample_rates().level == "ok"


def test_a_resampler_that_loses_sound_fails() -> None:
    class Deaf(Resampler):
        def feed(self, pcm: bytes, *, last: bool = False) -> bytes:
            return bytes(len(super().feed(pcm, last=last)))

    assert doctor_checks.sample_rates(Deaf).level == "FAIL"


def test_a_missing_sound_card_is_told(tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    assert "no sound card" in doctor_checks.sound_card(cards).text
    cards.write_text("--- no soundcards ---\n")
    assert "no sound card" in doctor_checks.sound_card(cards).text
    cards.write_text(" 0 [PCH]: HDA-Intel\n")
    assert "has a sound card" in doctor_checks.sound_card(cards).text
