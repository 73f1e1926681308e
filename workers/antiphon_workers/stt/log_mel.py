"""Whisper's log-mel spectrogram, in numpy alone."""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from antiphon_proto.audio import Samples
from antiphon_proto.messages import STT_SAMPLE_RATE_HZ

FRAME_SAMPLES = 160
"""100 frames a second."""
_FFT_SAMPLES = 400
_SLANEY_LINEAR_HZ = 1_000.0
_SLANEY_LINEAR_MELS = 15.0
_HZ_PER_MEL = _SLANEY_LINEAR_HZ / _SLANEY_LINEAR_MELS
_LOG_STEP = np.log(6.4) / 27.0
_FLOOR = 1e-10
_DYNAMIC_RANGE = 8.0
"""In powers of ten below the loudest point."""

_Array = npt.NDArray[np.float32]


def log_mel(audio: Samples, bins: int = 80) -> _Array:
    """Return the spectrogram `[bins, samples // 160] float32`, about -1..1.

    Frames are centred, with reflected ends, so `audio` must be longer than 200 samples. The figures
    are those of Whisper (Radford et al. 2022): Slaney's mel scale, a periodic Hann window.
    """
    padded = np.pad(audio, _FFT_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT_SAMPLES)[::FRAME_SAMPLES]
    spectrum = np.fft.rfft(frames[: len(audio) // FRAME_SAMPLES] * _window())
    power = spectrum.real**2 + spectrum.imag**2
    mel = np.log10(np.maximum(_filters(bins) @ power.T, np.float32(_FLOOR)))
    mel = np.maximum(mel, mel.max() - np.float32(_DYNAMIC_RANGE))
    scaled: _Array = ((mel + 4.0) / 4.0).astype(np.float32, copy=False)
    return scaled


@functools.cache
def _window() -> _Array:
    return np.hanning(_FFT_SAMPLES + 1)[:-1].astype(np.float32)


@functools.cache
def _filters(bins: int) -> _Array:
    """Return triangles of equal area `[bins, 201]` over the bins of the Fourier transform."""
    highest_hz = STT_SAMPLE_RATE_HZ / 2
    edges_hz = _to_hz(np.linspace(0.0, _to_mels(highest_hz), bins + 2))
    bins_hz = np.fft.rfftfreq(_FFT_SAMPLES, 1 / STT_SAMPLE_RATE_HZ)
    low, middle, high = (edges_hz[at : at + bins, np.newaxis] for at in range(3))
    rising = (bins_hz - low) / (middle - low)
    falling = (high - bins_hz) / (high - middle)
    triangles = np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (high - low)
    filters: _Array = triangles.astype(np.float32)
    return filters


def _to_mels(hz: float) -> float:
    """Return a frequency above 1 kHz on Slaney's scale, which is logarithmic there."""
    return float(_SLANEY_LINEAR_MELS + np.log(hz / _SLANEY_LINEAR_HZ) / _LOG_STEP)


def _to_hz(mels: "npt.NDArray[Any]") -> "npt.NDArray[Any]":
    above = _SLANEY_LINEAR_HZ * np.exp(_LOG_STEP * (mels - _SLANEY_LINEAR_MELS))
    return np.where(mels < _SLANEY_LINEAR_MELS, mels * _HZ_PER_MEL, above)
