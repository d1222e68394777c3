"""The process that started a role and lives on with it: the end of standard input ends the role, lines are orders."""

import asyncio
import os
import sys
from collections.abc import Callable

from testbed.core.errors import UsageError

_MOST = 65_536
"""Bytes of an order; a longer line is none."""


class Parent:
    """Listens on standard input, answers on standard output.

    obey: carries out a line and gives the answer; lines that come before there is one are left out.
    Raises UsageError where standard input cannot be waited on.
    """

    def __init__(self, stopping: asyncio.Event) -> None:
        self.obey: Callable[[bytes], bytes] | None = None
        self._stopping = stopping
        self._rest = b""
        try:
            self._descriptor = sys.stdin.fileno()
            asyncio.get_running_loop().add_reader(self._descriptor, self._hear)
        except (OSError, ValueError) as error:  # a file, as /dev/null is, never waits; or there is no standard input
            mend = "start it with a pipe on standard input, or leave --with-parent out"
            raise UsageError(f"--with-parent: standard input cannot be waited on: {error}", mend) from None

    def _hear(self) -> None:
        said = os.read(self._descriptor, _MOST)
        if not said:
            asyncio.get_running_loop().remove_reader(self._descriptor)  # an ended stream stays readable
            self._stopping.set()
            return
        *lines, self._rest = (self._rest + said).split(b"\n")
        self._rest = self._rest[:_MOST]
        for line in lines:
            if self.obey is not None:
                os.write(sys.stdout.fileno(), self.obey(line))
