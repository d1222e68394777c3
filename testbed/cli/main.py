"""`testbed`: runs a command, and is the one place where errors become messages and exit codes."""

import sys
from collections.abc import Sequence
from importlib import import_module

from testbed.cli.parser import parser
from testbed.core.errors import InvalidData, TestbedError

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Prints errors to standard error, with their mend."""
    options = parser().parse_args(arguments)
    try:
        # Loaded by name: a command, and so each role of a bench, loads only what it runs on.
        return int(import_module(f"testbed.cli.{options.command}").execute(options))
    except TestbedError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except InvalidData as error:
        print(f"error: {error}\n  mend: run `testbed verify` to see what was changed", file=sys.stderr)
        return TestbedError.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does.
        sys.stderr.close()
        return 0


def run_as_script() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    run_as_script()
