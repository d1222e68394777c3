"""The commands that check, and that write what others check: verify, prove, export."""

from pathlib import Path

from testbed.cli.common_options import Commands, add_bench, add_json, add_range
from testbed.cli.proof_options import PROVE, add_prove_options


def _verify(commands: Commands) -> None:
    command = commands.add_parser(
        "verify",
        help="prove whether anything was falsified, and where",
        description="Checks logs, tiles, twin, anchors and chain of a bench against a trust file; with REPORT, whether"
        " this report of a test run is the one that was run; with a file that `testbed prove` wrote, what that file"
        " proves, offline and without a bench; with --against, which rows of an exported file are what was logged."
        " Writes nothing.",
    )
    command.add_argument(
        "report",
        nargs="?",
        type=Path,
        metavar="REPORT",
        help="folder that a test run left, or its manifest.json; or an evidence file",
    )
    add_bench(command)
    command.add_argument(
        "--trust",
        type=Path,
        metavar="FILE",
        help="the auditor's trust file (default: trust.toml beside the bench file)",
    )
    command.add_argument(
        "--record", nargs=2, metavar=("SOURCE", "SEQ"), help="show one record through every layer, such as: cell 17"
    )
    command.add_argument(
        "--log", metavar="NAME", help="the log of that record, such as: reader (default: gateway first)"
    )
    command.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="PLACE",
        help="folder or http://... of a witness that stands elsewhere; may be given again",
    )
    command.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="processes that read large logs side by side (default: one for each processor)",
    )
    command.add_argument(
        "--node",
        metavar="URL",
        help="ask this node whether the block of an evidence file stands on the chain",
    )
    command.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="hold an exported CSV or Parquet file against its log",
    )
    add_range(command, "what FILE should hold, whatever it says itself: as in export", "up to here")
    add_json(command)


def _prove(commands: Commands) -> None:
    command = commands.add_parser("prove", help="write a file with which a stranger checks a record offline", **PROVE)
    add_prove_options(command)
    add_bench(command)
    add_json(command)


def _export(commands: Commands) -> None:
    command = commands.add_parser(
        "export",
        help="write logged states to a CSV or Parquet file",
        description="Writes the states of a reader's log, a row for each, to a new file: index of the record, time when"
        " it was received, boot, scan, status, and a column for each tag. Checks nothing; `testbed verify --against`"
        " does.",
    )
    add_bench(command)
    command.add_argument("--log", metavar="NAME", help="whose (default: the log that the twin follows)")
    add_range(command, "only from here on: a time (2026-01-01T00:00:10Z), an index of the log, or scan:N", "up to here")
    command.add_argument(
        "--tag", action="append", metavar="TAG", help="only this tag; may be given again (default: all)"
    )
    command.add_argument("--format", choices=("csv", "parquet"), help="default: what FILE is called")
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write; must be new")
    add_json(command)


CHECKING = (_verify, _prove, _export)
