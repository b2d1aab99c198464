"""The command line: ``python -m tlcore COMMAND``. Only JSON or the table asked for on standard
output; progress, messages and whatever TensorFlow prints go to standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from typing import TextIO

# A head's steps are small products: a second thread makes them slower, and a sum in another order.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is first imported, below

from tlcore.cli import dataset, features, predict, runs, summary, train, weights
from tlcore.errors import TLCoreError
from tlcore.migration import migrate
from tlcore.settings import Settings
from tlcore.storage import explain_os_error

COMMANDS = (weights, predict, features, summary, dataset, train, runs)


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 wrong words."""
    args = build_parser().parse_args(argv)
    out = _claim_standard_output()
    try:
        settings = Settings.from_environment()
        migrate(settings)
        status: int = args.run(args, settings, out)
        out.flush()
    except TLCoreError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except BrokenPipeError:  # whoever read the answer has seen enough
        return 1
    except OSError as error:
        sys.stderr.write(f"{explain_os_error(error)}\n")
        return 1
    finally:
        with suppress(OSError):  # what could not be written has been said above
            out.close()
    return status


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="python -m tlcore", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(subparsers)
    return parser


def _claim_standard_output() -> TextIO:
    """Return standard output, and send what anything else writes to it to standard error."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="surrogateescape")
    os.dup2(2, 1)
    return out


if __name__ == "__main__":
    sys.exit(main())
