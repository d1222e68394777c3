"""OPC UA notifications a second: our server against bare asyncua, each in a process of its own.

All of VARIABLES change each 50 ms, more than either can tell. A client of the library subscribes to them and counts.
The client is the slower side as soon as it has no core of its own, so the second line leaves it out: notifications for
each second of the server's own processor time.
"""

import asyncio
import logging
import time

from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.common.subscription import DataChangeNotif

from tests.bench.measure import SERVE, Server, of, processor_s, serving, table

VARIABLES = 1000
ROUNDS = 5
SECONDS = 2.0
PUBLISHING_MS = 50.0


def main() -> None:
    """Print the table."""
    logging.disable(logging.ERROR)  # the library reports its own hanging up
    with serving(SERVE, "asyncua", str(VARIABLES)) as bare, serving(SERVE, "opcua", str(VARIABLES)) as ours:
        taken = [(asyncio.run(told(bare)), asyncio.run(told(ours))) for _ in range(ROUNDS)]
    theirs, mine = zip(*taken, strict=True)
    rows = []
    for place, name in enumerate(("a second", "a second of the server's processor")):
        rows.append((name, *of([one[place] for one in theirs], [one[place] for one in mine]).cells()))
    table((f"notifications of {VARIABLES:,} variables", "bare asyncua", "ours", "ours / bare"), *rows)


class Counter:
    """Takes notifications."""

    def __init__(self) -> None:
        self.count = 0
        self.runs = asyncio.Event()

    def datachange_notification(self, node: Node, val: object, data: DataChangeNotif) -> None:  # noqa: ARG002  # theirs
        """Called for each."""
        self.count += 1
        if self.count == 2 * VARIABLES:
            self.runs.set()


async def told(server: Server) -> tuple[float, float]:
    """Notifications a second, and a second of the server's processor time."""
    async with Client(f"opc.tcp://127.0.0.1:{server.port}/attestbed") as client:
        index = await client.get_namespace_index("urn:attestbed:cell")
        nodes = [client.get_node(f"ns={index};s=g{at // 20}.n{at}") for at in range(VARIABLES)]
        counter = Counter()
        subscription = await client.create_subscription(PUBLISHING_MS, counter)
        await subscription.subscribe_data_change(nodes)
        await counter.runs.wait()
        count, used, started = counter.count, processor_s(server.pid), time.perf_counter()
        await asyncio.sleep(SECONDS)
        count, used, seconds = counter.count - count, processor_s(server.pid) - used, time.perf_counter() - started
        await subscription.delete()
    return count / seconds, count / used


if __name__ == "__main__":
    main()
