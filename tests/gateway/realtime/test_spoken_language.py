"""In which language a session is spoken to, and by which voice."""

import re
from typing import Any

import pytest

from antiphon_gateway.realtime.catalogue import Catalogue
from antiphon_gateway.realtime.errors import InvalidEvent
from antiphon_gateway.realtime.response_settings import merge_response
from antiphon_gateway.realtime.session_settings import default_session, merge
from antiphon_proto.config import Config, load

SPEAKERS = Catalogue(
    model="local", transcription_model="tiny", languages={"joe": ("en",), "eva": ("de", "nl")}
)


def spoken(*updates: dict[str, Any]) -> tuple[str, str]:
    """Return the voice and the language of a session's responses after updates."""
    session = default_session(Config(), SPEAKERS)
    for update in updates:
        session = merge(session, update, SPEAKERS)
    response = merge_response(session, None, SPEAKERS)
    return response.voice, response.language


def heard(language: str) -> dict[str, Any]:
    return {"audio": {"input": {"transcription": {"language": language}}}}


def audio_output(**fields: Any) -> dict[str, Any]:
    return {"audio": {"output": fields}}


@pytest.mark.parametrize(
    ("updates", "expected"),
    [
        ([], ("joe", "en")),
        ([heard("nl")], ("eva", "nl")),
        ([heard("DE-at"), heard("en")], ("joe", "en")),
        ([heard("fr")], ("joe", "en")),
        ([audio_output(language="de")], ("eva", "de")),
        ([heard("en"), audio_output(language="de")], ("eva", "de")),
        ([heard("de"), audio_output(voice="joe")], ("joe", "en")),
        ([heard("de"), audio_output(voice="joe"), {"instructions": "i"}], ("joe", "en")),
        ([audio_output(voice="eva")], ("eva", "de")),
    ],
)
def test_a_sessions_language_picks_its_voice_unless_one_is_named(
    updates: list[dict[str, Any]], expected: tuple[str, str]
) -> None:
    assert spoken(*updates) == expected


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ({"language": "fr"}, "no voice speaks 'fr'; there is joe (en), eva (de nl)"),
        ({"language": "de", "voice": "joe"}, "joe does not speak 'de'; there is joe (en), eva"),
    ],
)
def test_a_language_to_be_spoken_that_cannot_be_is_refused_with_what_can(
    output: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidEvent, match=re.escape(reason)) as refused:
        spoken(audio_output(**output))
    assert refused.value.param == "session.audio.output.language"


def test_the_language_of_the_configuration_picks_the_first_voice() -> None:
    config = load(environment={}, settings=["stt.language=de"])
    assert default_session(config, SPEAKERS).audio.output.voice == "eva"
