"""Small checkpoints of Coqui's models, randomly initialised: real architecture, loader and steps.

What they say is noise.
"""

import atexit
import functools
import importlib.util
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from antiphon_proto.errors import StartupError

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
PUNCTUATION = "!'(),-.:;? "
SPEAKERS = ("ann", "bob")
_LATENT = 64


def vits(directory: Path, speakers: int = 1) -> Path:
    """Make a VITS checkpoint; return its directory."""
    import torch
    from TTS.tts.configs.shared_configs import CharactersConfig
    from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
    from TTS.tts.models import setup_model
    from TTS.tts.utils.speakers import SpeakerManager

    torch.manual_seed(7)
    directory.mkdir(parents=True)
    args = VitsArgs(
        hidden_channels=32,
        hidden_channels_ffn_text_encoder=64,
        num_layers_text_encoder=2,
        num_layers_posterior_encoder=2,
        num_layers_flow=2,
        upsample_initial_channel_decoder=64,
        use_speaker_embedding=speakers > 1,
        speaker_embedding_channels=16,
        init_discriminator=False,
    )
    config = VitsConfig(
        model_args=args,
        use_phonemes=False,
        text_cleaner="basic_cleaners",
        use_speaker_embedding=speakers > 1,
        characters=CharactersConfig(
            characters_class="TTS.tts.models.vits.VitsCharacters",
            pad="_",
            eos="",
            bos="",
            blank=None,
            characters=ALPHABET,
            punctuations=PUNCTUATION,
            phonemes=None,
        ),
    )
    if speakers > 1:
        manager = SpeakerManager()
        manager.name_to_id = {name: place for place, name in enumerate(SPEAKERS[:speakers])}
        manager.save_ids_to_file(directory / "speakers.json")
        config.speakers_file = args.speakers_file = str(directory / "speakers.json")
    model = setup_model(config)
    # A random predictor of durations gives some frames to each letter: enough for several windows.
    torch.save({"model": model.state_dict()}, directory / "model.pth")
    config.save_json(str(directory / "config.json"))
    return directory


def xtts(directory: Path, speakers: tuple[str, ...] = SPEAKERS) -> Path:
    """Make an XTTS checkpoint; return its directory."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import Whitespace
    from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
    from TTS.tts.models.xtts import Xtts

    torch.manual_seed(7)
    directory.mkdir(parents=True)
    marks = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]", "[de]"]
    letters = sorted({*ALPHABET.lower(), *PUNCTUATION.strip()})
    vocabulary = {token: place for place, token in enumerate([*marks, *letters])}
    tokenizer = Tokenizer(BPE(vocabulary, [], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(marks)
    tokenizer.save(str(directory / "vocab.json"))
    args = XttsArgs(
        gpt_layers=2,
        gpt_n_model_channels=_LATENT,
        gpt_n_heads=4,
        gpt_max_audio_tokens=40,
        gpt_max_text_tokens=200,
        gpt_max_prompt_tokens=32,
        gpt_num_audio_tokens=66,
        gpt_start_audio_token=64,
        gpt_stop_audio_token=65,
        gpt_use_perceiver_resampler=True,
        decoder_input_dim=_LATENT,
        tokenizer_file=str(directory / "vocab.json"),
    )
    config = XttsConfig(model_args=args, languages=["en", "de"])
    model = Xtts(config)
    model.tokenizer.tokenizer = tokenizer
    model.init_models()
    torch.save({"model": model.state_dict()}, directory / "model.pth")
    config.save_json(str(directory / "config.json"))
    if speakers:
        known = {
            name: {
                "gpt_cond_latent": torch.randn(1, 32, _LATENT),
                "speaker_embedding": torch.randn(1, 512, 1),
            }
            for name in speakers
        }
        torch.save(known, directory / "speakers_xtts.pth")
    return directory


@functools.cache
def shared(kind: str) -> Path:
    """Return a checkpoint for all tests, `vits`, `vits-two` or `xtts`, removed at the end.

    Raises StartupError where Coqui is not installed.
    """
    if importlib.util.find_spec("TTS") is None:
        raise StartupError("Coqui is not installed; run: make test-engines")
    directory = Path(tempfile.mkdtemp(prefix="antiphon-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    makers: dict[str, Callable[[Path], Path]] = {
        "vits": vits,
        "vits-two": lambda place: vits(place, 2),
        "xtts": xtts,
    }
    return makers[kind](directory / kind)
