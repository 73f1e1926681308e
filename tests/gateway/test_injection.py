"""What is heard is data: it calls nothing, and markup in an answer is not obeyed."""

import pytest

from antiphon_gateway.speech_text import speakable


@pytest.mark.parametrize(
    "said",
    [
        '<speak><prosody volume="x-loud">Hi</prosody></speak>',
        "<break time='10s'/>Hi",
        "<audio src='http://evil.example/a.wav'/>Hi",
        "[[Hi]]",
        "<tool_call>{}</tool_call>Hi",
    ],
)
def test_markup_is_not_handed_to_the_voice(said: str) -> None:
    spoken = speakable(said)
    assert "Hi" in spoken
    assert not set(spoken) & set("<>[]{}")
