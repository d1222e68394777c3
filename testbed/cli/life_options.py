"""Options of the commands for what happens to a bench over its life: keys that change, bodies that are erased."""

import argparse
from pathlib import Path

from testbed.cli.common_options import Commands, add_bench, add_json


def _rotate_key(commands: Commands) -> None:
    command = commands.add_parser(
        "rotate-key",
        help="let a log of a stopped bench go on under another key",
        description="Makes another key for a log of a stopped bench. The change is signed by the old key, the new key"
        " and the root key, and stands in the log itself. With --root in one step; or a request, which is signed where"
        " the root key is, and then applied. Killed at any instant, the log goes on under exactly one key.",
    )
    command.set_defaults(command="rotate_key")
    command.add_argument("role", metavar="ROLE", help="whose log: gateway, reader, operator, twin or receipts")
    how = command.add_mutually_exclusive_group(required=True)
    how.add_argument("--root", type=Path, metavar="KEY", help="the root key's file, where it is at hand: one step")
    how.add_argument("--request", type=Path, metavar="FILE", help="write a request to FILE, to be signed elsewhere")
    how.add_argument("--apply", type=Path, metavar="FILE", help="apply a request that the root key has signed")
    add_bench(command)
    _trust(command)
    add_json(command)


def _root(commands: Commands) -> None:
    command = commands.add_parser(
        "root",
        help="sign a change of keys with the root key, or make one",
        description="The root key is kept off the bench. `testbed root sign REQUEST --key FILE` signs a change of keys,"
        " needs nothing but these two files, and writes the request anew; `testbed root make --key FILE` makes a root"
        " key for a bench that has none.",
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    sign = actions.add_parser("sign", help="sign a request of `testbed rotate-key`")
    sign.add_argument("request", type=Path, metavar="REQUEST", help="the file of the request; it is written anew")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="the root key")
    add_json(sign)
    make = actions.add_parser("make", help="make a root key")
    make.add_argument("--key", type=Path, required=True, metavar="FILE", help="the file to write; must be new")
    add_bench(make)
    add_json(make)


def _erase(commands: Commands) -> None:
    command = commands.add_parser(
        "erase",
        help="erase bodies of records of a stopped bench",
        description="Erases the bodies of records of a stopped bench, for good. A tombstone for each stands in the"
        " operator's log first; entries and hashes stay, so every proof holds. With a state go the twin records that"
        " show its values. What others have copied or exported is out of reach.",
    )
    command.add_argument("log", metavar="ORIGIN", help="of which log, such as water-cell/gateway")
    command.add_argument("index", type=int, nargs="+", metavar="INDEX", help="which records")
    command.add_argument("--reason", required=True, metavar="TEXT", help="why; it stands in the log for ever")
    add_bench(command)
    add_json(command)


def add_succession(command: argparse.ArgumentParser) -> None:
    """Of `init`: a bench that goes on for another one."""
    command.add_argument(
        "--succeeds",
        type=Path,
        metavar="BENCH",
        help="bench file of a bench for which this one goes on, as after a stolen submitter key or a lost log",
    )
    command.add_argument(
        "--succeeds-trust", type=Path, metavar="FILE", help="its trust file (default: trust.toml beside it)"
    )


def _trust(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--trust", type=Path, metavar="FILE", help="the trust file (default: trust.toml beside the bench file)"
    )


def _handover(commands: Commands) -> None:
    command = commands.add_parser(
        "handover",
        help="let another account anchor on a network, as the key of the one before was stolen",
        description="Makes another account that anchors on a network of others from here on, while the anchor does not"
        " run, and prints what the auditor puts into the trust file.",
    )
    command.add_argument("--chain", metavar="NAME", default="", help="a further chain (default: the first chain)")
    add_bench(command)
    add_json(command)


LIFE = (_rotate_key, _root, _erase, _handover)
