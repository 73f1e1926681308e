"""The names of what happens between a user's speech and the answer's first sample."""

STEPS = (
    "pause_seen",
    "transcript",
    "model_first_text",
    "first_clause",
    "first_audio",
    "endpoint",
    "audio_sent",
)
"""In the order they usually happen; with speculation `endpoint` may be the last but one."""
