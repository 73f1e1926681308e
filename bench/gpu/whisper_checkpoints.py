"""Whisper checkpoints of any size with random weights, whose decoder spells one sentence.

Every layer computes what it would with trained weights, so the cost is the true one. What the
layers of the decoder add is faint beside its position embeddings, and each of these points at the
next token of the sentence: the transcript is the same for any sound, with the probability of a
sure one, so that the engine judges it as it judges speech.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from antiphon_proto.errors import ConfigurationError

SENTENCE = "What time does the last train leave for the city, and where do I change?"
"""About as many tokens as four seconds of speech have."""
_END_OF_TEXT = 50_256
_NO_TIMESTAMPS = 50_362
_POSITIONS = 448
_STATES = 1_500
_LOGIT = 40.0
"""Of the token that a position points at; of the others the highest is below 10."""
_POINT = 10.0
"""Length of a position embedding, in token embeddings."""
_FAINT = 1e-4
"""Standard deviation of the weights whose output is added to what the positions say."""
_BLOCK = 1 << 22


class Size(NamedTuple):
    """Of a model; the vocabulary is the English one of 51,864 tokens for all."""

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    mel_bins: int = 80


SIZES = {
    "tiny.en": Size(384, 6, 4, 4),
    "base.en": Size(512, 8, 6, 6),
    "small.en": Size(768, 12, 12, 12),
    "medium.en": Size(1024, 16, 24, 24),
    "large-v3": Size(1280, 20, 32, 32, 128),
    "large-v3-turbo": Size(1280, 20, 32, 4, 128),
}


def size_named(name: str) -> Size:
    """Return a size. Raises ConfigurationError, with those there are, when it is none."""
    if name not in SIZES:
        raise ConfigurationError(f"there is no size {name!r}; choose from: {', '.join(SIZES)}")
    return SIZES[name]


def make(directory: Path, size: Size, tokens_from: Path, sentence: str = SENTENCE) -> Path:
    """Make a checkpoint in float16, from the tokens of a trained English one; return its directory.

    `tokens_from`: the directory of that one. A large checkpoint has 3 GB.
    """
    from ctranslate2.specs import WhisperSpec
    from tokenizers import Tokenizer

    directory.mkdir(parents=True)
    tokenizer = tokens_from / "tokenizer.json"
    vocabulary = (tokens_from / "vocabulary.txt").read_text(encoding="utf-8").rstrip("\n")
    said = Tokenizer.from_file(str(tokenizer)).encode(f" {sentence}", add_special_tokens=False).ids

    spec = WhisperSpec(size.encoder_layers, size.heads, size.decoder_layers, size.heads)
    chance = _Chance()
    width = size.width
    _encoder(spec.encoder, size, chance)
    tokens = vocabulary.split("\n")
    embeddings = chance.weights(len(tokens), width, deviation=_LOGIT / width)
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = embeddings
    follow = [_NO_TIMESTAMPS, *said]
    follow += [_END_OF_TEXT] * (_POSITIONS - len(follow))
    spec.decoder.position_encodings.encodings = _POINT * embeddings[follow]
    _norm(spec.decoder.layer_norm, width)
    for layer in spec.decoder.layer:
        _layer(layer, width, chance)
        _attention(layer.attention, (width, 2 * width, width), width, chance)

    spec.register_vocabulary(tokens)
    trained = json.loads((tokens_from / "config.json").read_text(encoding="utf-8"))
    for key in ("suppress_ids", "suppress_ids_begin", "lang_ids"):
        setattr(spec.config, key, trained[key])
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    # As a converter does with equal weights: one copy, and the name of the other.
    spec.decoder.projection.weight = "decoder/embeddings/weight"
    spec.save(str(directory))
    (directory / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    (directory / "preprocessor_config.json").write_text(json.dumps({"feature_size": size.mel_bins}))
    return directory


class _Chance:
    """Random weights, cut from one block: what is multiplied costs the same."""

    def __init__(self) -> None:
        self._chance = np.random.default_rng(7)
        self._block = self._chance.standard_normal(_BLOCK, np.float32)

    def weights(self, *shape: int, deviation: float | None = None) -> "np.ndarray[Any, Any]":
        """Return float16 of a shape; the deviation is that which keeps a layer's scale, or this."""
        deviation = deviation or 1 / float(np.sqrt(np.prod(shape[1:])))
        start = int(self._chance.integers(_BLOCK // 2))
        return np.resize((self._block[start:] * deviation).astype(np.float16), shape)


def _encoder(spec: Any, size: Size, chance: _Chance) -> None:
    for conv, channels in ((spec.conv1, size.mel_bins), (spec.conv2, size.width)):
        conv.weight = chance.weights(size.width, channels, 3)
        conv.bias = _zeros(size.width)
    spec.position_encodings.encodings = chance.weights(_STATES, size.width)
    _norm(spec.layer_norm, size.width)
    for layer in spec.layer:
        _layer(layer, size.width, chance)


def _layer(spec: Any, width: int, chance: _Chance) -> None:
    _attention(spec.self_attention, (3 * width, width), width, chance)
    _norm(spec.ffn.layer_norm, width)
    _linear(spec.ffn.linear_0, chance.weights(4 * width, width))
    _linear(spec.ffn.linear_1, chance.weights(width, 4 * width, deviation=_FAINT))


def _attention(spec: Any, outputs: tuple[int, ...], width: int, chance: _Chance) -> None:
    _norm(spec.layer_norm, width)
    for linear, rows in zip(spec.linear, outputs, strict=True):
        last = linear is spec.linear[-1]
        _linear(linear, chance.weights(rows, width, deviation=_FAINT if last else None))


def _linear(spec: Any, weights: "np.ndarray[Any, Any]") -> None:
    spec.weight, spec.bias = weights, _zeros(weights.shape[0])


def _norm(spec: Any, width: int) -> None:
    spec.gamma, spec.beta = np.ones(width, np.float16), _zeros(width)


def _zeros(count: int) -> "np.ndarray[Any, Any]":
    return np.zeros(count, np.float16)
