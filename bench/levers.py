"""Switches that take levers away, so that their worth is measured and not believed. Pure."""

import argparse

_WHOLE_SENTENCE_WORDS = 100
"""More than a sentence has."""

LEVERS = {
    "speculation": "turn_taking.speculation=false",
    "warming": "turn_taking.warming=false",
    "end-score": "turn_taking.score_end=false",
    "smart-turn": "turn_taking.predict_turn_end=false",
    "partials": "turn_taking.partial_interval_ms=0",
    "partial-as-final": "turn_taking.partial_as_final=false",
    "partial-when-quiet": "turn_taking.partial_when_quiet=false",
    "own-pauses": "turn_taking.own_pauses=false",
    "retraction": "turn_taking.retraction_ms=0",
    "streaming-tts": "tts.streaming=false",
    "trim-lead": "tts.trim_lead=false",
    "first-clause": f"tts.first_clause_words={_WHOLE_SENTENCE_WORDS}",
    "sentence-context": "tts.sentence_context=false",
    "hurry": "tts.hurry=false",
    "duck": "turn_taking.duck=false",
    "pause": "turn_taking.pause_after_ms=0",
    "echo-check": "turn_taking.echo_check=false",
    "interruption-words": "turn_taking.interruption_words=false",
}
"""What `--no-NAME` sets."""
FULL_WINDOW = "stt.encoder_window=padded"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the switches and `--set`."""
    group = parser.add_argument_group("the started server")
    group.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="a setting, for example stt.threads=1; may be repeated",
    )
    for name, setting in LEVERS.items():
        group.add_argument(
            f"--no-{name}",
            dest="settings",
            action="append_const",
            const=setting,
            help=f"the same as --set {setting}",
        )
    group.add_argument(
        "--full-window",
        dest="settings",
        action="append_const",
        const=FULL_WINDOW,
        help=f"the same as --set {FULL_WINDOW}",
    )
