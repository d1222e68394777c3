"""`testbed run ROLE`: one role as a process of its own."""

import argparse
import asyncio
import logging
import sys

from testbed import __version__
from testbed.cli.options import bench_of
from testbed.core.errors import InvalidData, TestbedError
from testbed.rig.bench import Bench
from testbed.rig.log_lines import line_handler, logging_to
from testbed.rig.process import run_role

_LOG = logging.getLogger("testbed")
_BROKEN = 1


def execute(options: argparse.Namespace) -> int:
    """The command; returns its exit code."""
    bench = bench_of(options)
    handler = line_handler(bench.name, options.role, sys.stderr, json_lines=options.with_parent)
    with logging_to(handler):
        if not options.with_parent:
            asyncio.run(run_role(bench, options.role, time_scale=options.time_scale))
            return 0
        return _run_supervised(bench, options.role, options.time_scale)


def _run_supervised(bench: Bench, role: str, time_scale: float) -> int:
    """Whatever ends the role is its last line, as JSON; the supervisor tells it to people."""
    _LOG.info("role starts", extra={"version": __version__})
    try:
        asyncio.run(run_role(bench, role, with_parent=True, time_scale=time_scale))
    except TestbedError as error:
        _LOG.critical("%s", error.problem, extra={"mend": error.mend, "exit_code": error.exit_code})
        return error.exit_code
    except (InvalidData, OSError):
        raise  # the command line knows what to say
    except Exception:  # noqa: BLE001 - a traceback is no JSON line
        _LOG.critical("the role broke", exc_info=True)
        return _BROKEN
    _LOG.info("role stopped")
    return 0
