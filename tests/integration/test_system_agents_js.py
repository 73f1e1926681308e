"""The stock `@openai/agents-realtime` SDK in Node holds a conversation over WebSocket."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from system import SIMULATED, running_system
from system_client import MIC_HZ, OUT_HZ, silence, speech

from antiphon_proto.audio import Resampler

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
SDK = WEB / "node_modules" / "@openai" / "agents-realtime"
REPLY = " ".join(f"This is sentence number {number} of a long reply." for number in range(30))

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(not SDK.is_dir(), reason="run: npm --prefix web ci"),
]


def test_a_tool_call_an_interruption_and_a_history_of_what_was_heard(tmp_path: Path) -> None:
    recording = tmp_path / "say.pcm"
    pcm = Resampler(MIC_HZ, OUT_HZ).feed(speech("how_can_i_begin") + silence(1.0), last=True)
    recording.write_bytes(pcm)
    settings = {"simulated.call_arguments": '{"city":"Oslo"}', "simulated.reply": REPLY}
    with running_system({**SIMULATED, **settings}, ready_within_s=30.0) as system:
        program = ROOT / "tests" / "support" / "agents_talk.mjs"
        ran = subprocess.run(
            ["node", program, system.realtime_url, recording, WEB],
            capture_output=True,
            text=True,
            timeout=45,
            check=False,
        )
        system.assert_no_traceback()
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert (told["asked"], told["errors"]) == (["Oslo"], [])
    heard = told["heard"]["content"][0]["transcript"]
    assert heard
    assert REPLY.startswith(heard.strip())
    assert len(heard) < len(REPLY) / 2
    remembered = {item_id: content[0]["transcript"] for item_id, content in told["history"]}
    assert remembered[told["heard"]["id"]] == heard
