"""The data folder has one layout, and every role finds its files by it."""

from pathlib import Path

from testbed.rig.paths import Paths


def test_the_layout_of_the_data_folder() -> None:
    paths = Paths(Path("d"))
    found = {
        "key": paths.key("anchor"),
        "lock": paths.lock("twin"),
        "log": paths.log("gateway"),
        "tlog": paths.tlog("gateway"),
        "journal": paths.journal,
        "genesis": paths.chain_genesis,
        "state": paths.chain_state,
        "boot": paths.plc_boot,
    }
    assert {name: path.as_posix() for name, path in found.items()} == {
        "key": "d/anchor/key",
        "lock": "d/twin/lock",
        "log": "d/gateway/log.sqlite",
        "tlog": "d/gateway/tlog",
        "journal": "d/anchor/journal.jsonl",
        "genesis": "d/chain/genesis.json",
        "state": "d/chain/state",
        "boot": "d/plc/boot",
    }
