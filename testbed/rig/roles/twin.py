"""The role of the twin: from the source log into a log of its own."""

from testbed.core.bodies import PARAMETERS
from testbed.core.clock import Clock
from testbed.core.entropy import Entropy
from testbed.record.schema import encode_parameters
from testbed.rig.bench import Bench
from testbed.rig.log_keys import log_keys
from testbed.rig.logs import Configuration, open_log
from testbed.rig.paths import Paths
from testbed.rig.recipe import parameters_of, recipe_of
from testbed.rig.roles.role import Facts, Publishing
from testbed.store.sqlite import LogStore
from testbed.twin.mirror import Mirror, Recipe


class TwinRole:
    """Follows the source log and logs what follows from it. `recipe`: another one than the bench file's."""

    def __init__(
        self, bench: Bench, clock: Clock, entropy: Entropy, *, simulated: bool, recipe: Recipe | None = None
    ) -> None:
        self.period_s = min(0.05, bench.gateway.period_ms / 1000)
        paths, name = Paths(bench.data), bench.twin.name
        configuration = Configuration(says=((PARAMETERS, encode_parameters(parameters_of(bench))),))
        self._log, self._store = open_log(bench, name, configuration, clock, entropy, simulated=simulated)
        self._source = LogStore.read(paths.log(bench.twin.follows))
        key = log_keys(bench, bench.twin.follows)
        self._mirror = Mirror(name, recipe or recipe_of(bench), self._source, key, self._log, self._store.rows())
        self._publishing = Publishing(self._log, clock, bench.log.publish_ms * 1_000_000)
        self._records = 0

    async def start(self) -> None:
        self._log.publish()

    async def step(self) -> None:
        self._records += self._mirror.step()
        self._publishing.step()

    async def stop(self) -> None:
        """Consume what the source still holds, then end."""
        before = -1
        while before < self._mirror.consumed:  # a batch without a State gives no record, and more may stand behind it
            before = self._mirror.consumed
            self._records += self._mirror.step()
        self._log.publish()
        self._store.close()
        self._source.close()

    def facts(self) -> Facts:
        return {"size": self._log.size, "records": self._records, "consumed": self._mirror.consumed}
