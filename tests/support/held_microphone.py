"""A microphone of the page that is silent until the test lets it speak."""

import base64
from pathlib import Path

_SCRIPT = """
navigator.mediaDevices.getUserMedia = async () => {
  const context = new AudioContext();
  const mouth = context.createMediaStreamDestination();
  const wav = Uint8Array.from(atob("WAV"), (letter) => letter.charCodeAt(0));
  const clip = await context.decodeAudioData(wav.buffer);
  window.speak = () => {
    const voice = new AudioBufferSourceNode(context, { buffer: clip });
    voice.connect(mouth);
    voice.start();
  };
  return mouth.stream;
};
"""


def held_microphone(clip: Path) -> str:
    """Return a script for the page: each `window.speak()` says the WAV once."""
    return _SCRIPT.replace("WAV", base64.b64encode(clip.read_bytes()).decode())
