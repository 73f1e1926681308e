"""The table of the transcripts' figures, on made ones."""

from bench.stt import as_text


def test_transcripts_that_repeat_a_phrase_are_counted_for_each_window():
    loop = "and so on and so on and so on and so on"
    times_ms = {"spliced": [100.0, 200.0], "padded": [200.0, 400.0]}
    pairs = {
        "spliced": [("hello world", "Hello world."), ("and so on", loop)],
        "padded": [("hello world", "Hello word."), ("and so on", "And so on.")],
    }
    lines = as_text(times_ms, pairs).splitlines()
    assert [line.split()[-1] for line in lines[1:4]] == ["loops", "1", "0"]
    assert lines[0] == "2 clips"
    assert lines[4].endswith(" 0.50")
