"""The `antiphon-worker` command."""

import argparse
import asyncio
import signal
import sys
import time

from antiphon_proto import config, log, process_limits
from antiphon_proto.config import Config
from antiphon_proto.engines import names
from antiphon_proto.errors import ConfigurationError, StartupError
from antiphon_proto.messages import STAGES, Stage
from antiphon_workers.process import end_with_parent, wait_asleep
from antiphon_workers.runner import Worker

EXIT_STARTUP = 2
RESTART_PAUSE_S = 2.0
"""A supervisor starts a failed worker again at once; the pause keeps the message readable."""


def main() -> int:
    """Run one worker. Returns the exit code: 0 after a drain, 2 when it could not start."""
    arguments = _parser().parse_args()
    process_limits.forbid_core_dumps()
    if arguments.exit_with_parent is not None:
        end_with_parent(arguments.exit_with_parent)
    wait_asleep()
    try:
        settings = config.from_arguments(arguments)
        log.configure(f"{arguments.stage}-{arguments.index}", settings.log.level)
        asyncio.run(_run(arguments.stage, arguments.index, settings))
    except (ConfigurationError, StartupError) as exc:
        sys.stderr.write(f"antiphon-worker {arguments.stage}: {exc}\n")
        sys.stderr.flush()
        time.sleep(RESTART_PAUSE_S)
        return EXIT_STARTUP
    return 0


async def _run(stage: Stage, index: int, settings: Config) -> None:
    worker = Worker(stage, index, settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.request_stop)
    await worker.run()


def _parser() -> argparse.ArgumentParser:
    engines = "\n".join(f"  {stage}  {', '.join(names(stage))}" for stage in STAGES)
    parser = argparse.ArgumentParser(
        prog="antiphon-worker",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=(
            "Serve one stage of the conversation: speech to text (stt), language model (llm) or\n"
            "text to speech (tts). It finds the gateway through the sockets in bus.runtime_dir,\n"
            "in whatever order they start. SIGTERM finishes the running jobs, then exits."
        ),
        epilog=(
            f"engines (set STAGE.engine):\n{engines}\n\n"
            "examples:\n"
            "  antiphon-worker stt\n"
            "  antiphon-worker tts --index 1 --set tts.threads=1\n"
            "  antiphon-worker llm --set llm.model=/models/qwen.gguf\n"
        ),
    )
    parser.add_argument("stage", choices=STAGES, help="which stage to serve")
    parser.add_argument(
        "--index",
        type=int,
        default=0,
        metavar="N",
        help="number of this worker among those of its stage; its name becomes STAGE-N",
    )
    parser.add_argument(
        "--exit-with-parent",
        type=int,
        nargs="?",
        const=0,
        metavar="PID",
        help="die when the parent process (PID, if given) dies; for supervisors",
    )
    config.add_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
