"""The figures of `antiphon plan`: measured on this machine, or of a file."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from antiphon import gateway_cost
from antiphon.plan_programs import ask
from antiphon_proto.config import Config
from antiphon_proto.errors import AntiphonError, ConfigurationError
from antiphon_proto.messages import STAGES
from antiphon_proto.planning import Figures

MEASURING = "antiphon_workers.measuring"


def measured(settings: Config, flags: Sequence[str]) -> Figures:
    """Measure the engines and the gateway of a configuration, which `flags` ask for.

    Raises StartupError when an engine cannot be measured.
    """
    with tempfile.TemporaryDirectory(prefix="antiphon-plan-") as directory:
        speech = Path(directory) / "speech.wav"
        figures = ask(MEASURING, (*flags, "--speech", str(speech)), b"", Figures)
        try:
            gateway_ms = gateway_cost.measure(settings, speech, _tell)
        except AntiphonError as exc:
            _tell(f"the gateway could not be measured: {exc}")
            return figures
    return msgspec.structs.replace(figures, gateway_ms=round(gateway_ms, 2), gateway_measured=True)


def keep(figures: Figures, path: Path) -> None:
    """Write figures to a file. Raises ConfigurationError when that cannot be."""
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    except OSError as exc:
        raise ConfigurationError(f"cannot write {path}: {exc.strerror}") from exc


def read(path: Path) -> Figures:
    """Return the figures of a file. Raises ConfigurationError naming what is wrong with it."""
    try:
        figures = msgspec.json.decode(path.read_bytes(), type=Figures)
    except OSError as exc:
        raise ConfigurationError(f"cannot read {path}: {exc.strerror}") from exc
    except msgspec.DecodeError as exc:
        raise ConfigurationError(
            f"{path} holds no figures ({exc}); make it: antiphon plan --measure {path}"
        ) from exc
    if missing := [stage for stage in STAGES if stage not in figures.engines]:
        raise ConfigurationError(f"{path} has no figures of {' and '.join(missing)}")
    return figures


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)
