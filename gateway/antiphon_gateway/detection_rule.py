"""What a session's turn detection means for its endpointer. Pure."""

from antiphon_gateway.endpointing import EndpointingRule
from antiphon_gateway.realtime.session_settings import ServerVad, TurnDetection
from antiphon_gateway.turn_end import HARD_END_MS
from antiphon_proto.config import TurnTaking

_PREFIX_PADDING_MS = 300


def endpointing_rule(detection: TurnDetection | None, taking: TurnTaking) -> EndpointingRule:
    """Return the figures that hold until evidence says more."""
    rule = EndpointingRule(
        threshold=taking.speech_threshold,
        min_speech_ms=taking.min_speech_ms,
        eager_silence_ms=taking.eager_silence_ms,
        end_silence_ms=HARD_END_MS["auto"],
        max_utterance_ms=taking.max_utterance_ms,
        resume_speech_ms=taking.resume_speech_ms,
    )
    if isinstance(detection, ServerVad):
        rule.threshold = detection.threshold
        rule.end_silence_ms = detection.silence_duration_ms
    elif detection is not None:
        rule.end_silence_ms = HARD_END_MS[detection.eagerness]
    return rule


def prefix_padding_ms(detection: TurnDetection | None) -> int:
    """Return how much audio before the speech belongs to it."""
    if isinstance(detection, ServerVad):
        return detection.prefix_padding_ms
    return _PREFIX_PADDING_MS


def set_onset(
    rule: EndpointingRule, detection: TurnDetection | None, taking: TurnTaking, *, audible: bool
) -> None:
    """Set what begins an utterance: less is noise.

    Over an audible response its first sound does, since it is judged; where speech interrupts
    nothing it is more than elsewhere, since nobody judges it.
    """
    judged = detection is not None and detection.interrupt_response
    rule.min_speech_ms, rule.onset_margin = taking.min_speech_ms, 0.0
    if audible and judged:
        rule.min_speech_ms, rule.onset_margin = taking.overlap_speech_ms, taking.overlap_margin
    elif audible:
        rule.min_speech_ms = taking.barge_in_speech_ms
