"""What can be typed: every command with its options. Nothing heavy is imported to say so."""

import argparse
from pathlib import Path

from testbed import __version__
from testbed.attacks.kinds import KINDS, LIES, PLACES
from testbed.cli.checking_options import CHECKING
from testbed.cli.common_options import Commands, add_bench, add_json
from testbed.cli.life_options import LIFE, add_succession
from testbed.cli.scan_options import SCAN, add_scan_options

_EPILOG = """\
exit codes: 0 done or GENUINE, 1 FALSIFIED or failed, 2 wrong usage, 3 INCONCLUSIVE or could not be done
Without --bench the file bench.toml of this folder is taken, else the water cell that ships with the package.
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line. Each command is the module of that name in this package, and its `execute`."""
    top = argparse.ArgumentParser(
        prog="testbed",
        description="Runs a bench, anchors what its twin says about a machine, and proves whether it was falsified.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"attestbed {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        _init,
        _up,
        _status,
        _tags,
        _read,
        _write,
        *_SHARING,
        *CHECKING,
        *LIFE,
        _falsify,
        _scan,
        _doctor,
        _demo,
        _simulate,
        _run,
        _serve_log,
        _import,
    ):
        add(commands)
    return top


def _init(commands: Commands) -> None:
    command = commands.add_parser(
        "init",
        help="make keys, genesis and trust file of a bench",
        description="Makes a bench ready: keys, the chain's genesis, the journal, and the trust file of its auditor.",
    )
    add_bench(command)
    command.add_argument(
        "--in", dest="folder", type=Path, metavar="DIR", help="only write a bench file to edit into DIR"
    )
    command.add_argument(
        "--witness", metavar="NAME", help="only make the key of this witness, and print its table for trust files"
    )
    add_succession(command)
    add_json(command)


def _up(commands: Commands) -> None:
    command = commands.add_parser(
        "up",
        help="run the bench",
        description="Runs every role of a bench, each as a process, and shows how far logs and anchors are.",
    )
    add_bench(command)
    command.add_argument("--duration", type=float, metavar="S", help="end by itself after S seconds")
    add_json(command)


def _status(commands: Commands) -> None:
    command = commands.add_parser(
        "status",
        help="show which roles run and how far the logs are",
        description="Shows which roles of a bench run, and how far its logs and anchors are. Changes nothing.",
    )
    add_bench(command)
    add_json(command)


def _tags(commands: Commands) -> None:
    command = commands.add_parser(
        "tags",
        help="list the tags of the PLC",
        description="Lists the tags of a bench's PLC: type, range and unit, whether they can be written, and where they"
        " stand on each protocol.",
    )
    add_bench(command)
    add_json(command)


def _read(commands: Commands) -> None:
    command = commands.add_parser(
        "read",
        help="read values from the running PLC",
        description="Reads tags of the running PLC, all of one scan. Logs nothing.",
    )
    command.add_argument("tag", nargs="*", metavar="TAG", help="which (default: all)")
    command.add_argument(
        "--by",
        choices=("modbus", "opcua", "device"),
        default="modbus",
        help="by which of the bench's servers, or from a physical PLC itself (default: modbus)",
    )
    add_bench(command)
    add_json(command)


def _write(commands: Commands) -> None:
    command = commands.add_parser(
        "write",
        help="command the running PLC",
        description="Writes one tag of the running PLC. The command is logged under the operator's key before it is"
        " sent, and its outcome after it was read back. Exit 1 where it was refused or nobody knows.",
    )
    command.add_argument("tag", metavar="TAG", help="which; `testbed tags` shows what can be written")
    command.add_argument("value", metavar="VALUE", help="a number, true or false")
    command.add_argument("--who", metavar="NAME", help="who commands (default: the user of this system)")
    add_bench(command)
    add_json(command)


def _reserve(commands: Commands) -> None:
    command = commands.add_parser(
        "reserve",
        help="reserve a shared bench for a time",
        description="Reserves a bench that others use as well: until the time is over, or `testbed release`, nobody"
        " else can command it or run tests on it. Exit 1 where somebody has reserved it already.",
    )
    command.add_argument(
        "--for", dest="time", default="2h", metavar="TIME", help="how long, such as 90s, 30m, 2h or 1d (default: 2h)"
    )
    command.add_argument("--note", default="", metavar="TEXT", help="what for, shown to others")
    add_bench(command)
    add_json(command)


def _who(commands: Commands) -> None:
    command = commands.add_parser(
        "who",
        help="show who has reserved the bench",
        description="Shows who has reserved a bench, since when and until when, and whether it is in quarantine."
        " Changes nothing.",
    )
    add_bench(command)
    add_json(command)


def _release(commands: Commands) -> None:
    command = commands.add_parser(
        "release",
        help="give a reserved bench back",
        description="Ends your reservation of a bench. Exit 1 where it is somebody else's.",
    )
    command.add_argument("--force", action="store_true", help="end anybody's; what runs under it ends as well")
    add_bench(command)
    add_json(command)


def _recover(commands: Commands) -> None:
    command = commands.add_parser(
        "recover",
        help="bring a bench in quarantine into its safe state",
        description="Tries the safe state of a bench in quarantine again, reads it back, and only then puts the bench"
        " into use. Each write is logged under the operator's key. Exit 1 where the safe state is not reached.",
    )
    command.add_argument("--who", metavar="NAME", help="who commands (default: the user of this system)")
    add_bench(command)
    add_json(command)


_SHARING = (_reserve, _who, _release, _recover)


def _falsify(commands: Commands) -> None:
    kinds = "\n".join(f"  {name:12} {what}" for name, what in KINDS.items())
    command = commands.add_parser(
        "falsify",
        help="falsify something in a stopped bench",
        description="Falsifies one thing in a stopped bench, as somebody with its disk, a key or its node could.",
        epilog=f"kinds:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("kind", choices=list(KINDS), metavar="KIND", help="what to falsify, see below")
    add_bench(command)
    command.add_argument("--log", metavar="ROLE", help="whose log or anchors (default: the reader's)")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--at", choices=PLACES, help="which record under the newest anchor (default: middle)")
    where.add_argument("--index", type=int, metavar="N", help="record, hash or block N instead")
    command.add_argument("--tag", metavar="TAG", help="whose value (default: tank2.level)")
    command.add_argument("--to", metavar="VALUE", help="its new value (default: one more, or the opposite)")
    add_json(command)


def _scan(commands: Commands) -> None:
    command = commands.add_parser("scan", help="look at a device on a wire and draft a profile of it", **SCAN)
    add_scan_options(command)
    add_json(command)


def _doctor(commands: Commands) -> None:
    command = commands.add_parser(
        "doctor",
        help="check what a bench needs; each problem names its mend",
        description="Checks everything that a bench needs: Python, bench file, disk, node, ports, keys, trust file,"
        " journal, genesis, logs. Of a physical PLC also each step on the wire: whether it is there, who it is, which"
        " addresses can be read, and whether the values make sense; it writes nothing. Each problem names its mend.",
    )
    command.add_argument("profile", nargs="?", type=Path, metavar="PROFILE", help="the bench file; as --bench")
    add_bench(command)
    add_json(command)


def _demo(commands: Commands) -> None:
    command = commands.add_parser(
        "demo",
        help="run, verify, falsify, verify: the story in a minute",
        description="Runs a bench of its own, verifies it, falsifies copies of it in three ways and verifies each."
        " Exit 0 when everything came out as it must.",
    )
    command.add_argument(
        "--in", dest="folder", type=Path, default=Path(".demo"), metavar="DIR", help="its folder (default: .demo)"
    )
    command.add_argument(
        "--seconds", type=float, default=20.0, metavar="S", help="how long the bench runs (default: 20)"
    )


def _simulate(commands: Commands) -> None:
    lies = "\n".join(f"  {name:12} {what}" for name, what in LIES.items())
    command = commands.add_parser(
        "simulate",
        help="run a bench in lock-step under a virtual clock",
        description="Runs all roles in one process under a virtual clock, over real sockets and a real node.\n"
        "The same seed gives the same bytes. Such a bench says that it is simulated, and so does its trust file.",
        epilog=f"lies, with every signature right:\n{lies}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "folder", type=Path, metavar="DIR", help="where bench file, trust file and data go; must be new"
    )
    command.add_argument("--bench", type=Path, metavar="FILE", help="the bench file to copy (default: the water cell)")
    command.add_argument("--scans", type=int, default=3600, metavar="N", help="scans to run (default: 3600)")
    command.add_argument("--seed", type=int, default=1, metavar="N", help="seed of noise, keys and salts (default: 1)")
    command.add_argument("--lying-twin", action="store_true", help="the twin runs another model than it says it runs")
    command.add_argument("--lie", choices=list(LIES), metavar="KIND", help="tell one lie, see below")
    command.add_argument("--lie-by", metavar="READER", help="who lies or is lied to (default: whom the twin follows)")
    command.add_argument("--lie-at", type=int, metavar="SCAN", help="in which scan (default: the middle one)")
    add_json(command)


def _run(commands: Commands) -> None:
    command = commands.add_parser(
        "run",
        help="run one role",
        description="Runs one role of a bench until SIGTERM or Ctrl-C: plc, chain, a reader, the twin, anchor, or a"
        " witness.",
    )
    command.add_argument("role", metavar="ROLE", help="plc, chain, gateway, reader, twin, anchor or witness")
    add_bench(command)
    command.add_argument("--with-parent", action="store_true", help="also stop when standard input ends, and log JSON")
    command.add_argument(
        "--time-scale",
        type=_time_scale,
        default=1.0,
        metavar="X",
        help="seconds of an emulated plant in one of the wall, 0.1 to 100 (default: 1)",
    )


def _serve_log(commands: Commands) -> None:
    command = commands.add_parser(
        "serve-log",
        help="serve the logs as static files over HTTP",
        description="Serves the logs of a bench, running or not, as static files for any client of C2SP tlog-tiles,"
        " until SIGTERM or Ctrl-C: each below its name, at the place that [serve] of the bench file says. Logs hold"
        " commitments; bodies are not served.",
    )
    # A module's name has no hyphen.
    command.set_defaults(command="serve_log")
    add_bench(command)
    add_json(command)


def _time_scale(text: str) -> float:
    scale = float(text)
    if not 0.1 <= scale <= 100.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0.1 to 100")
    return scale


def _import(commands: Commands) -> None:
    command = commands.add_parser(
        "import",
        help="make a bench file of another program's tag list",
        description="Makes a bench file of a tag list that Kepware exported, or of Telegraf's configuration. What the"
        " file does not say is filled in, what a bench has no tags for is left out, and both are listed with their"
        " lines.",
    )
    # The word is Python's own, and no module can be called so.
    command.set_defaults(command="import_tags")
    command.add_argument("file", type=Path, metavar="FILE", help="the CSV or TOML file")
    command.add_argument("--from", dest="source", required=True, choices=("kepware", "telegraf"), help="whose file")
    command.add_argument(
        "--out", type=Path, required=True, metavar="BENCH", help="the bench file to write; must be new"
    )
    command.add_argument("--name", metavar="NAME", help="of the bench (default: the file's)")
    command.add_argument(
        "--host",
        default="192.168.0.10",
        help="Kepware: where the device is, which its list does not say (default: %(default)s)",
    )
    command.add_argument(
        "--byte-order",
        choices=("ABCD", "CDAB", "BADC", "DCBA"),
        default="CDAB",
        help="Kepware: of values in two or four Modbus registers (default: %(default)s, as its drivers have it)",
    )
    command.add_argument(
        "--which", type=int, default=1, metavar="N", help="Telegraf: which of its inputs (default: the first)"
    )
