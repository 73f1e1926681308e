"""Text to what a Piper voice is given: inputs for each sentence, and what of them is which word."""

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import piper

from antiphon_proto.errors import StartupError
from antiphon_workers.tts.piper_stream import Inputs
from antiphon_workers.tts.word_alignment import Span, align

PIECE_CHARACTERS = 400
"""Longer stretches without a sentence end are cut at a space: attention costs the square."""

_PAD = "_"
_WORDS_REMEMBERED = 4_096
_WORD = re.compile(r"\S+")
_UNSPEAKABLE = re.compile(r"(?<=\[)\[|[\s\x00-\x1f\x7f\ud800-\udfff]")
"""Double brackets would be read as raw phonemes; espeak takes no control characters."""


class SentenceWord(NamedTuple):
    """A word of a sentence: the voice's input ids from `first` up to `end` speak it."""

    end_character: int
    first: int
    end: int


class Sentence(NamedTuple):
    """What is rendered at once."""

    inputs: Inputs
    words: list[SentenceWord]
    first: int | None = None
    """Where the text begins, if ids that speak what precedes it are before it."""
    end: int | None = None
    """Where it ends, if ids that speak what follows it are behind it."""


class _Word(NamedTuple):
    start_character: int
    end_character: int
    span: Span


class PiperText:
    """A voice's phonemizer and its settings, without its model."""

    def __init__(self, path: Path) -> None:
        """Read the configuration beside the voice in `path`.

        Raises StartupError when it is missing or unreadable.
        """
        self._piper, self.languages = _front_end(path)
        self._remembered = functools.lru_cache(_WORDS_REMEMBERED)(self._phonemes)
        self.sample_rate_hz: int = self._piper.config.sample_rate
        self.hop_samples: int = self._piper.config.hop_length

    def sentences(
        self,
        text: str,
        speaker: str = "",
        speed: float = 1.0,
        *,
        preceding: str = "",
        following: str = "",
    ) -> Iterator[Sentence]:
        """Yield what speaks `text`; nothing for text without a letter or digit.

        What precedes and follows it is part of the inputs, not of the words.
        """
        if not any(map(str.isalnum, text)):
            return
        said = range(len(preceding), len(preceding) + len(text))
        for offset, piece in speakable_pieces(preceding + text + following, PIECE_CHARACTERS):
            phonemes = [list(sentence) for sentence in self._piper.phonemize(piece)]
            words = self._words(piece, offset, phonemes)
            start = 0
            for sentence in phonemes:
                end = start + len(sentence)
                own = [word for word in words if word.span.end <= end]
                spoken = self._sentence(sentence, start, own, speaker, speed)
                if kept := _kept(spoken, own, said):
                    yield kept
                words = words[len(own) :]
                start = end + 1

    def _words(self, piece: str, offset: int, phonemes: list[list[str]]) -> list[_Word]:
        """Return where each word of `piece` is and its phonemes, counted over all sentences."""
        found = list(_WORD.finditer(piece))
        alone = [(len(word.group()), self._remembered(word.group())) for word in found]
        return [
            _Word(offset + word.start(), offset + word.end(), span)
            for word, span in zip(found, align(alone, _joined(phonemes)), strict=True)
        ]

    def _phonemes(self, word: str) -> tuple[str, ...]:
        return tuple(_joined([list(part) for part in self._piper.phonemize(word)]))

    def _sentence(
        self, phonemes: list[str], start: int, words: list[_Word], speaker: str, speed: float
    ) -> Sentence:
        """Return the inputs for phonemes that begin at `start` of the piece, with all its words."""
        settings = self._piper.config
        ids = self._piper.phonemes_to_ids(phonemes)
        scales = [settings.noise_scale, settings.length_scale / speed, settings.noise_w_scale]
        inputs = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(scales, np.float32),
        }
        if settings.num_speakers > 1:
            number = settings.speaker_id_map.get(speaker, settings.default_speaker_id)
            inputs["sid"] = np.array([number], np.int64)
        first_ids = self._first_ids(phonemes, len(ids))
        placed = [
            SentenceWord(
                word.end_character,
                first_ids[min(max(word.span.start - start, 0), len(phonemes))],
                first_ids[max(word.span.end - start, 0)],
            )
            for word in words
            if first_ids
        ]
        return Sentence(inputs, placed)

    def _first_ids(self, phonemes: list[str], ids: int) -> list[int]:
        """Return the index of each phoneme's first id, and the end; empty when ids are not so made.

        A phoneme is its own ids and a pad; before all stand a begin mark and a pad, behind an end
        mark.
        """
        id_map = self._piper.config.phoneme_id_map
        pads = len(id_map.get(_PAD, ()))
        counts = [len(id_map[symbol]) + pads if symbol in id_map else 0 for symbol in phonemes]
        begin = 1 + pads
        if begin + sum(counts) + 1 != ids:
            return []
        return [begin, *(begin + np.cumsum(counts, dtype=np.int64)).tolist()]


def _kept(spoken: Sentence, words: list[_Word], said: range) -> Sentence | None:
    """Return a sentence with only the words whose characters are in `said`; None without any."""
    inside = [number for number, word in enumerate(words) if word.start_character in said]
    if not spoken.words:
        return spoken if inside or not words else None
    if not inside:
        return None
    own = spoken.words[inside[0] : inside[-1] + 1]
    return Sentence(
        spoken.inputs,
        [word._replace(end_character=word.end_character - said.start) for word in own],
        first=own[0].first if inside[0] > 0 else None,
        end=own[-1].end if inside[-1] + 1 < len(words) else None,
    )


def speakable_pieces(text: str, limit: int) -> Iterator[tuple[int, str]]:
    """Yield where each piece of `text` begins and the piece, of at most `limit` characters.

    None when nothing can be spoken. What cannot be read becomes a space.
    """
    text = _UNSPEAKABLE.sub(" ", text)
    start, end = 0, len(text.rstrip())
    while True:
        start += len(text[start:end]) - len(text[start:end].lstrip())
        if not any(character.isalnum() for character in text[start:end]):
            return
        cut = end
        if end - start > limit:
            room = start, start + limit
            cut = max(text.rfind(". ", *room) + 1, text.rfind("? ", *room) + 1)
            cut = cut or text.rfind(" ", *room)
            cut = cut if cut > start else start + limit
        yield start, text[start:cut]
        start = cut


def _joined(sentences: list[list[str]]) -> list[str]:
    """Return the phonemes of all sentences, a space between two."""
    joined: list[str] = []
    for sentence in sentences:
        joined += [*sentence, " "]
    return joined[:-1]


def _front_end(path: Path) -> tuple["piper.PiperVoice", tuple[str, ...]]:
    """Return Piper's phonemizer for a voice, without a second copy of the model, and what the voice
    speaks: ISO 639-1 codes, none when its configuration does not say."""
    config_path = path.with_name(path.name + ".json")
    try:
        settings = json.loads(config_path.read_text(encoding="utf-8"))
        voice = piper.PiperVoice(session=None, config=piper.PiperConfig.from_dict(settings))
        family = str(settings.get("language", {}).get("family", ""))
        return voice, (family,) if family else ()
    except OSError as exc:
        raise StartupError(
            f"cannot read {config_path} ({exc.strerror}); put it beside the voice"
        ) from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise StartupError(f"{config_path} is not the configuration of a Piper voice") from exc
