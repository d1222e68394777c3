"""Benches that a campaign mutates: simulated once, read once, kept in memory. Nothing here is changed afterwards."""

import asyncio
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from testbed.chain.registry import commitment as anchored_commitment
from testbed.chain.steps import Step
from testbed.core.entry import Row
from testbed.keys.ed25519 import SigningKey
from testbed.keys.files import read_secret
from testbed.merkle.tiles import TILE_WIDTH, encode_bundle, entry_bundles, tile_hashes, tile_widths
from testbed.merkle.tree import Tree, leaf_hash
from testbed.rig.auditing import auditor, evidence_of
from testbed.rig.bench import Bench, load_bench
from testbed.rig.default import default_text
from testbed.rig.lockstep import Commands, simulate
from testbed.rig.paths import Paths
from testbed.rig.trust import load_trust
from testbed.verify.evidence import Evidence, LogEvidence
from testbed.verify.trust import Trust

TWIN_LAG = 60
"""Records that a twin may be behind here: few, so that what makes a twin look slow shows as a false finding."""

GATEWAY, READER, OPERATOR, TWIN, RECEIPTS = (
    f"water-cell/{name}" for name in ("gateway", "reader", "operator", "twin", "receipts")
)
ORIGINS = (GATEWAY, READER, OPERATOR, TWIN, RECEIPTS)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one bench is. every: records between two rounds of anchors; commands: as `simulate` takes them, by scan."""

    name: str
    scans: int
    every: int
    seed: int
    commands: tuple[int, ...] = ()


RECIPES = (
    Recipe("plain", 300, 64, 11, (5, 70, 150, 231, 296)),
    # The twin's log ends with a full tile; the rounds are far apart.
    Recipe("full-tile", 255, 256, 12, (3, 120, 252)),
    # The gateway's log ends one record behind two full tiles.
    Recipe("one-more", 450, 128, 13, (2, 200, 350, 447)),
)


@dataclass(frozen=True)
class Ground:
    """One honest bench. keys: of the logs' writers, by origin; folder: with its files, for cells that need those."""

    name: str
    folder: Path
    trust: Trust
    evidence: Evidence
    keys: Mapping[str, SigningKey]

    @cached_property
    def bench(self) -> Bench:
        return load_bench(self.folder / "bench.toml")

    @property
    def paths(self) -> Paths:
        return Paths(self.bench.data)

    @property
    def on_disk(self) -> bool:
        """Whether the files are what the evidence says."""
        return self.name.partition("/")[2] in ("", "unseen")


def make(folder: Path, recipe: Recipe) -> None:
    """Simulate the bench in `folder`, unless it stands there complete."""
    if (folder / "ready").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = default_text().replace("every = 256", f"every = {recipe.every}")
    (folder / "bench.toml").write_text(text, encoding="utf-8")
    commands: Commands = {
        scan: ("control.level_setpoint", 0.5 + scan / 1000) if scan % 2 else ("control.temperature_setpoint", 30.0)
        for scan in recipe.commands
    }
    bench = load_bench(folder / "bench.toml")
    asyncio.run(simulate(bench, recipe.scans, recipe.seed, commands=commands))
    text, count = re.subn(r"(?m)^twin_lag = \d+", f"twin_lag = {TWIN_LAG}", bench.trust_file.read_text("utf-8"))
    if count != 1:
        raise AssertionError(f"{bench.trust_file} says nothing of a twin's lag")
    bench.trust_file.write_text(text, encoding="utf-8")
    (folder / "ready").write_text(json.dumps(recipe.commands), encoding="utf-8")


def read(folder: Path, name: str) -> Ground:
    """The bench in `folder` as an auditor reads it."""
    bench = load_bench(folder / "bench.toml")
    trust = auditor(load_trust(bench.trust_file))
    paths = Paths(bench.data)
    keys = {
        bench.origin(role): SigningKey.from_seed(bench.origin(role), read_secret(paths.key(role)))
        for role in bench.logs
    }
    return Ground(name, folder, trust, asyncio.run(evidence_of(bench, trust)), keys)


def grounds(folder: Path, recipes: Sequence[Recipe] = RECIPES) -> list[Ground]:
    """Every bench as it ended; without its witness; as it stood before its last round of anchors, which no witness saw;
    and then with a twin that lags.
    """
    found: list[Ground] = []
    for recipe in recipes:
        make(folder / recipe.name, recipe)
        whole = read(folder / recipe.name, recipe.name)
        trust, evidence = replace(whole.trust, witnesses=()), unseen(whole.evidence)
        alone = replace(whole, name=f"{recipe.name}/unseen", trust=trust, evidence=evidence)
        waiting = replace(alone, name=f"{recipe.name}/waiting", evidence=before_the_last_round(evidence))
        lags = replace(alone, name=f"{recipe.name}/lagging", evidence=lagging(waiting.evidence))
        found += [whole, alone, waiting, lags]
    return found


def unseen(evidence: Evidence) -> Evidence:
    """The same without anything that a witness keeps."""
    logs = {origin: replace(log, mirrors=()) for origin, log in evidence.logs.items()}
    return replace(evidence, logs=logs)


def before_the_last_round(evidence: Evidence) -> Evidence:
    """As the bench stood when the last round of anchors had not begun: every log has records that wait."""
    rounds = [place for place, step in enumerate(evidence.journal) if _origin(step) == RECEIPTS]
    steps = evidence.journal[: rounds[-2] + 1]
    mined = steps[-1].mined
    if evidence.chain is None or mined is None:
        raise ValueError("a bench without its chain is no ground")
    slots = dict.fromkeys(evidence.chain.slots, bytes(32))
    for step in steps:
        if step.intent.anchored is not None and step.mined is not None:
            one = step.intent.anchored
            slots[one.origin] = anchored_commitment(one.size, one.root, step.mined.timestamp)
    chain = replace(
        evidence.chain,
        height=mined.height,
        head=mined.block_hash,
        blocks={at: block for at, block in evidence.chain.blocks.items() if at <= mined.height},
        slots=slots,
    )
    receipts = evidence.logs[RECEIPTS]
    logs = {**evidence.logs, RECEIPTS: cut(receipts, receipts.checkpoints[-2][0])}
    return replace(evidence, journal=steps, chain=chain, logs=logs)


def lagging(evidence: Evidence) -> Evidence:
    """The same with a twin that is up to 20 states behind."""
    anchored = max(
        step.intent.anchored.size
        for step in evidence.journal
        if step.intent.anchored is not None and step.intent.anchored.origin == TWIN
    )
    twin = evidence.logs[TWIN]
    sizes = [size for size, _ in twin.checkpoints if size >= anchored]
    return replace(evidence, logs={**evidence.logs, TWIN: cut(twin, sizes[-min(21, len(sizes))])})


def cut(log: LogEvidence, size: int) -> LogEvidence:
    """The log as it was at a commit of that size, its tiles included."""
    rows = log.rows[:size]
    notes = tuple(pair for pair in log.checkpoints if pair[0] <= size)
    return replace(log, rows=rows, checkpoints=notes, published=notes[-1][1], tiles=tiles_of(rows))


def tiles_of(rows: Sequence[Row]) -> dict[str, bytes]:
    """Every tile and entry bundle that a log of these records offers, by path."""
    entries = [row.entry for row in rows]
    tree = Tree(map(leaf_hash, entries))
    tiles = {tile.path: tile_hashes(tree, tile) for tile in tile_widths(tree.size)}
    for bundle in entry_bundles(tree.size):
        start = bundle.n * TILE_WIDTH
        tiles[bundle.path] = encode_bundle(entries[start : start + bundle.width])
    return tiles


def _origin(step: Step) -> str:
    return "" if step.intent.anchored is None else step.intent.anchored.origin
