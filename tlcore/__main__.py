"""The command line: ``python -m tlcore COMMAND``.

Standard output has the JSON value or the table asked for and nothing else; progress, messages and
what TensorFlow prints go to standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from tlcore.cli import dataset, features, predict, runs, summary, train, weights
from tlcore.errors import TLCoreError
from tlcore.migration import migrate
from tlcore.settings import Settings
from tlcore.storage import explain_os_error

COMMANDS = (weights, predict, features, summary, dataset, train, runs)


def main(
    argv: list[str] | None = None, settings: Settings | None = None, out: TextIO | None = None
) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 wrong options.

    Args:
        argv: the arguments; those of the process by default.
        settings: from the environment by default.
        out: where the answer is written; by default standard output, which nothing else reaches.
    """
    args = build_parser().parse_args(argv)
    try:
        with _standard_output(out) as stream:
            settings = settings or Settings.from_environment()
            migrate(settings)
            status: int = args.run(args, settings, stream)
            stream.flush()
    except TLCoreError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except BrokenPipeError:  # the reader has closed the pipe
        return 1
    except OSError as error:
        sys.stderr.write(f"{explain_os_error(error)}\n")
        return 1
    return status


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="python -m tlcore", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(subparsers)
    return parser


@contextmanager
def _standard_output(out: TextIO | None) -> Iterator[TextIO]:
    """Give standard output to the command alone; all else that writes to it gets standard error."""
    if out is not None:
        yield out
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stdout.flush()
    own = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="surrogateescape")
    os.dup2(2, 1)
    try:
        yield own
    finally:
        with suppress(OSError):  # a failed flush has been reported before
            own.close()


if __name__ == "__main__":
    sys.exit(main())
