"""Checkpoints of Coqui's models, randomly initialised: real architecture, loader and steps.

What they say is noise. Those of the true size cost what trained ones do, a second of speech for a
second of speech.
"""

from pathlib import Path

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
PUNCTUATION = "!'(),-.:;? "
SPEAKERS = ("ann", "bob")
_SMALL_VITS = {
    "hidden_channels": 32,
    "hidden_channels_ffn_text_encoder": 64,
    "num_layers_text_encoder": 2,
    "num_layers_posterior_encoder": 2,
    "num_layers_flow": 2,
    "upsample_initial_channel_decoder": 64,
    "speaker_embedding_channels": 16,
}
_SMALL_XTTS = {
    "gpt_layers": 2,
    "gpt_n_model_channels": 64,
    "gpt_n_heads": 4,
    "gpt_max_audio_tokens": 40,
    "gpt_max_text_tokens": 200,
    "gpt_max_prompt_tokens": 32,
    "gpt_num_audio_tokens": 66,
    "gpt_start_audio_token": 64,
    "gpt_stop_audio_token": 65,
    "decoder_input_dim": 64,
}
_XTTS = {
    "gpt_layers": 30,
    "gpt_n_model_channels": 1024,
    "gpt_n_heads": 16,
    "gpt_max_audio_tokens": 605,
    "gpt_max_text_tokens": 402,
    "gpt_max_prompt_tokens": 70,
    "gpt_num_audio_tokens": 1026,
    "gpt_start_audio_token": 1024,
    "gpt_stop_audio_token": 1025,
    "decoder_input_dim": 1024,
}
"""Of XTTS v2, whose own vocabulary of text is larger; that costs a look-up."""
_NEVER = -1e4
"""Logit of the token that ends the speech."""


def vits(directory: Path, speakers: int = 1, *, small: bool = False) -> Path:
    """Make a VITS checkpoint, of the true size unless `small`; return its directory."""
    import torch
    from TTS.tts.configs.shared_configs import CharactersConfig
    from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
    from TTS.tts.models import setup_model
    from TTS.tts.utils.speakers import SpeakerManager

    torch.manual_seed(7)
    directory.mkdir(parents=True)
    args = VitsArgs(
        use_speaker_embedding=speakers > 1,
        init_discriminator=False,
        **(_SMALL_VITS if small else {}),
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


def xtts(directory: Path, speakers: tuple[str, ...] = SPEAKERS, *, small: bool = False) -> Path:
    """Make an XTTS checkpoint, of the true size unless `small`; return its directory.

    One of the true size does not say that it is at the end: it speaks as long as it may.
    """
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
    sizes = _SMALL_XTTS if small else _XTTS
    args = XttsArgs(
        gpt_use_perceiver_resampler=True,
        tokenizer_file=str(directory / "vocab.json"),
        **sizes,
    )
    config = XttsConfig(model_args=args, languages=["en", "de"])
    model = Xtts(config)
    model.tokenizer.tokenizer = tokenizer
    model.init_models()
    if not small:
        with torch.no_grad():
            model.gpt.mel_head.bias[sizes["gpt_stop_audio_token"]] = _NEVER
    torch.save({"model": model.state_dict()}, directory / "model.pth")
    config.save_json(str(directory / "config.json"))
    if speakers:
        known = {
            name: {
                "gpt_cond_latent": torch.randn(1, 32, sizes["gpt_n_model_channels"]),
                "speaker_embedding": torch.randn(1, 512, 1),
            }
            for name in speakers
        }
        torch.save(known, directory / "speakers_xtts.pth")
    return directory
