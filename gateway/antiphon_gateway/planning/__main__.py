"""`python -m antiphon_gateway.planning`: a question as JSON in, a plan as JSON out.

For `antiphon plan`, which may not import the scheduler.
"""

import sys

import msgspec

from antiphon_gateway.planning.capacity import plan
from antiphon_proto.planning import Question


def main() -> int:
    """Answer the question on standard input; say on standard error what is simulated."""
    try:
        question = msgspec.json.decode(sys.stdin.buffer.read(), type=Question)
        answer = plan(question, _tell)
    except msgspec.DecodeError as error:
        sys.stderr.write(f"not a question: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    return 0


def _tell(text: str) -> None:
    sys.stderr.write(f"  simulating: {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
