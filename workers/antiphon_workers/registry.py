"""How to get an engine without importing the others."""

import importlib
import logging
from typing import Any

from antiphon_proto.config import Config
from antiphon_proto.engines import ENGINES as ENGINES
from antiphon_proto.engines import Entry as Entry
from antiphon_proto.engines import PlugIn, names, plug_ins
from antiphon_proto.errors import StartupError
from antiphon_proto.messages import Stage
from antiphon_workers.engine import Engine

logger = logging.getLogger(__name__)


def create(stage: Stage, config: Config) -> Engine:
    """Return the configured engine of a stage, not yet loaded. Imports its libraries: blocks.

    Raises StartupError when there is no such engine, a library it needs is not installed, or the
    package that brings it is broken.
    """
    name = config.stage(stage).engine
    if entry := ENGINES.get((stage, name)):
        engine = _import(stage, name, entry)(config)
    elif plug_in := plug_ins(stage).get(name):
        engine = _create_plug_in(stage, plug_in, config)
    else:
        raise StartupError(
            f"there is no {stage} engine {name}; set {stage}.engine to one of: "
            f"{', '.join(names(stage))}"
        )
    if stage == "stt" and name != "simulated" and config.stt.turn_end_model:
        from antiphon_workers.stt.turn_end import WithTurnEnd

        return WithTurnEnd(config, engine)
    return engine


def load(stage: Stage, config: Config) -> Engine:
    """Return the configured engine of a stage, loaded and warm. Blocks.

    Raises StartupError; see `create` and `Engine.load`.
    """
    engine = create(stage, config)
    plug_in = plug_ins(stage).get(config.stage(stage).engine)
    try:
        engine.load()
    except StartupError:
        raise
    except Exception as exc:
        if plug_in is None:
            raise
        raise _broken(stage, plug_in, exc) from exc
    return engine


def _import(stage: Stage, name: str, entry: Entry) -> type[Engine]:
    try:
        module = importlib.import_module(entry.module)
    except ImportError as exc:
        if not entry.extra:
            raise
        raise StartupError(
            f"the {stage} engine {name} cannot be imported ({exc}); "
            f"run: pip install 'antiphon[{entry.extra}]'"
        ) from exc
    engine_class: type[Engine] = getattr(module, entry.class_name)
    return engine_class


def _create_plug_in(stage: Stage, plug_in: PlugIn, config: Config) -> Engine:
    try:
        found: Any = plug_in.point.load()
        if not (isinstance(found, type) and issubclass(found, Engine)):
            raise TypeError(f"{plug_in.point.value} is no class derived from Engine")
        if found.stage != stage:
            raise TypeError(f"{plug_in.point.value}.stage is {found.stage}, not {stage}")
        return found(config)
    except StartupError:
        raise
    except Exception as exc:
        raise _broken(stage, plug_in, exc) from exc


def _broken(stage: Stage, plug_in: PlugIn, cause: Exception) -> StartupError:
    """Return the error that names the package; the log has the traceback for its author."""
    logger.error("engine of another package failed", exc_info=cause)
    return StartupError(
        f"the {stage} engine {plug_in.point.name} of the package {plug_in.package} is broken "
        f"({type(cause).__name__}: {cause}); mend or upgrade the package, or set {stage}.engine "
        "to another engine"
    )
