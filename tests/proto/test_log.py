"""What a log line holds."""

import json
import logging

from antiphon_proto import log


def line(**fields: object) -> dict[str, object]:
    record = logging.makeLogRecord({"msg": "session opened", "name": "gateway", **fields})
    decoded: dict[str, object] = json.loads(log._JsonFormatter("gateway").format(record))
    return decoded


def test_a_listed_field_is_in_the_line() -> None:
    written = line(session_id="sess_1", close_code=1000)
    assert (written["session_id"], written["close_code"]) == ("sess_1", 1000)
    assert "left_out" not in written


def test_of_a_field_that_is_not_listed_the_line_has_the_name_alone() -> None:
    written = line(transcript="words that were said", code="x")
    assert "words" not in json.dumps(written)
    assert written["left_out"] == ["transcript"]
    assert written["code"] == "x"
