"""`antiphon talk`: say recordings to the server and hear its replies, in real time."""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from antiphon import audio_devices, live_talk, session_flags, turn_report
from antiphon.recording import BadRecording, Recording, load
from antiphon.spoken_turn import SpokenTurn, conversation
from antiphon_proto.audio import Resampler, write_wav
from antiphon_proto.errors import AntiphonError

DESCRIPTION = """\
Say a recording to the server as if into a microphone, in real time, and receive its spoken reply.
Prints what was understood, what was answered, and where the time between the end of speech and the
first sound of the reply went. Several recordings are several turns of one session.

  antiphon talk question.wav
  antiphon talk question.wav -o reply.wav
  antiphon talk first.wav second.wav --json

Without a recording it is a conversation through microphone and loudspeaker, until Ctrl-C; that
needs the extra `devices`: pip install 'antiphon[devices]'.

The exit code is 0 only if every recording got a spoken reply.
"""


class CannotWrite(AntiphonError):
    """Raised when the replies cannot be written."""

    code = "cannot_write"


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `antiphon talk`."""
    parser = commands.add_parser(
        "talk",
        help="say a recording to the server and hear the reply",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("wav", nargs="*", type=Path, help="16-bit PCM WAV file, 8 to 192 kHz")
    parser.add_argument("-o", "--output", type=Path, metavar="WAV", help="write the replies here")
    parser.add_argument("--json", action="store_true", help="print one JSON object a turn")
    parser.add_argument(
        "--silence-ms",
        type=_count,
        default=3000,
        metavar="MS",
        help="least silence after each recording (default 3000); "
        "it lasts until the reply has been played",
    )
    parser.add_argument(
        "--timeout-s",
        type=_count,
        default=60,
        metavar="S",
        help="longest wait for the whole reply, from the end of the recording (default 60)",
    )
    parser.add_argument(
        "--speech-end-ms",
        type=_count,
        metavar="MS",
        help="where the speech ends in the recording (default: the last sound above the noise)",
    )
    session_flags.add_arguments(parser)
    parser.set_defaults(run=_run)


def _count(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 3_600_000:
        raise argparse.ArgumentTypeError(f"{value} is outside 0..3600000")
    return value


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.wav:
        return _live(session_flags.server(arguments))
    if arguments.speech_end_ms is not None and len(arguments.wav) > 1:
        raise BadRecording("--speech-end-ms is for one recording, not for several")
    recordings = [load(path, end_ms=arguments.speech_end_ms) for path in arguments.wav]
    server = session_flags.server(arguments)
    asyncio.run(_talk(server, recordings, arguments))
    return 0


def _live(server: session_flags.Server) -> int:
    sound = audio_devices.load()

    def show(line: str) -> None:
        print(line, flush=True)

    asyncio.run(live_talk.converse(server.url, api_key=server.api_key, sound=sound, show=show))
    return 0


async def _talk(
    server: session_flags.Server, recordings: Sequence[Recording], arguments: argparse.Namespace
) -> None:
    turns: list[SpokenTurn] = []
    rate = recordings[0].sample_rate_hz
    try:
        async with conversation(server.url, api_key=server.api_key, sample_rate_hz=rate) as talk:
            for recording in recordings:
                turn = await talk.say(
                    recording,
                    timeout_s=arguments.timeout_s,
                    silence_s=arguments.silence_ms / 1000,
                )
                turns.append(turn)
                text = turn_report.as_json(turn) if arguments.json else turn_report.as_text(turn)
                print(text, flush=True)
    finally:
        if arguments.output and turns:
            _write_replies(arguments.output, turns)


def _write_replies(path: Path, turns: Sequence[SpokenTurn]) -> None:
    """Write the replies of all turns behind each other, at the sample rate of the first."""
    rate = turns[0].reply.sample_rate_hz
    pcm = b"".join(
        Resampler(turn.reply.sample_rate_hz, rate).feed(bytes(turn.reply.pcm), last=True)
        for turn in turns
    )
    try:
        write_wav(path, pcm, rate)
    except OSError as exc:
        raise CannotWrite(f"cannot write {path}: {exc.strerror}") from exc
