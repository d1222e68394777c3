"""The bench in one process of pytest: opened once, handed from test to test, left in its safe state.

A bench that broke stays broken with its first cause: the first test that met it is an error, those that follow are
skipped. One that is not there is a skip with its reason. With --require-hardware both are failures.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import NoReturn

import pytest

from testbed.core.errors import DeviceError, LeaseError, TestbedError, UsageError
from testbed.core.identity import Identity
from testbed.core.tags import Value
from testbed.guard.controller import GuardedController
from testbed.guard.safe_state import Reached, SafeState, Setting, reach_safe_state
from testbed.guard.stop import stop_of
from testbed.guard.watchdog import Watchdog
from testbed.pytest_plugin.line import Line
from testbed.pytest_plugin.loop import Loop
from testbed.pytest_plugin.reach import IN_PROCESS, Reach, reach
from testbed.pytest_plugin.safety import Rules, rules_of
from testbed.pytest_plugin.sample import Sample
from testbed.pytest_plugin.settings import Asked, Settings, settled
from testbed.pytest_plugin.signals import Signals
from testbed.pytest_plugin.turn import Sink, Turn
from testbed.rig.bench import Bench, load_bench
from testbed.rig.locks import role_lock

TESTS = "tests"
"""Who runs tests on a bench holds a lock under this name, as a role does."""
_LOOK_S = 0.2
_LEASE_S = 2.0
_MONITOR_S = 0.5


class NotSafe(TestbedError):
    """The machine did not reach its safe state."""


class MustEnd(Exception):  # noqa: N818  # it says what is so
    """An E-stop, an interlock or a lost lease ends the run."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What is there while the bench is open."""

    reach: Reach
    loop: Loop
    line: Line
    identity: Identity
    rules: Rules
