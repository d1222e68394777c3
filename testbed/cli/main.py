"""`testbed`: the parser, and the one place where errors become messages and exit codes."""

import argparse
import sys
from collections.abc import Sequence

from testbed import __version__
from testbed.cli import demo, doctor, falsify, init, run, simulate, status, up, verify
from testbed.core.errors import InvalidData, TestbedError

_EPILOG = """\
exit codes: 0 done or GENUINE, 1 FALSIFIED or failed, 2 wrong usage, 3 INCONCLUSIVE or could not be done
Without --bench the file bench.toml of this folder is taken, else the water cell that ships with the package.
"""
_COMMANDS = (init, up, status, verify, falsify, doctor, demo, simulate, run)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="testbed",
        description="Runs a bench, anchors what its twin says about a machine, and proves whether it was falsified.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"attestbed {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add_to(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Prints errors to standard error, with their mend."""
    options = parser().parse_args(arguments)
    try:
        return int(options.execute(options))
    except TestbedError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except InvalidData as error:
        print(f"error: {error}\n  mend: run `testbed verify` to see what was changed", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does.
        sys.stderr.close()
        return 0


def run_as_script() -> None:
    """Entry point of the console script."""
    sys.exit(main())


if __name__ == "__main__":
    run_as_script()
