"""`testbed`: runs a command, and is the one place where errors become messages and exit codes."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from testbed.cli.near import near
from testbed.cli.parser import parser
from testbed.core.errors import InvalidData, TestbedError

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Prints errors to standard error, with their mend."""
    options = parser().parse_args(arguments)
    try:
        # Loaded by name: a command, and so each role of a bench, loads only what it runs on.
        code = int(import_module(f"testbed.cli.{options.command}").execute(options))
        sys.stdout.flush()
    except TestbedError as error:
        return _fail(error, error.exit_code)
    except InvalidData as error:
        return _fail(f"{error}\n  mend: run `testbed verify` to see what was changed", TestbedError.exit_code)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does. What is still to be written goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        mend = "look at this place: is there room, and may you read and write there?"
        return _fail(f"{place}{error.strerror or error}\n  mend: {mend}", TestbedError.exit_code)
    return code


def _fail(error: object, code: int) -> int:
    print(f"error: {near(error)}", file=sys.stderr)
    return code


def run_as_script() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    run_as_script()
