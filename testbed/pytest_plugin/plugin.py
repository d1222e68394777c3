"""What pytest loads: options, markers and fixtures. Nothing heavy is imported until a test asks for a fixture."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testbed.core.tags import Tag
    from testbed.pytest_plugin.capturing import Captures
    from testbed.pytest_plugin.evidence import Evidence
    from testbed.pytest_plugin.keeper import Keeper
    from testbed.pytest_plugin.measuring import Measure
    from testbed.pytest_plugin.plant import Plant
    from testbed.pytest_plugin.plc import Plc
    from testbed.pytest_plugin.turn import Turn
    from testbed.pytest_plugin.twin import Twin
    from testbed.rig.bench import Bench

_KEEPER: pytest.StashKey[Keeper] = pytest.StashKey()
_TURN: pytest.StashKey[Turn] = pytest.StashKey()
_CLOSED: pytest.StashKey[str] = pytest.StashKey()
_USES = "testbed_turn"
_MARKERS = ("hil", "physical", "requires", "destructive", "limits", "safe_state")
_NOTE = "measured"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Each has a variable TESTBED_... as well, and most a key under [test] of the bench file."""
    group = parser.getgroup("testbed", "tests of a PLC")
    group.addoption("--bench", metavar="FILE", help="bench file (./bench.toml, else the packaged water cell)")
    group.addoption("--profile", metavar="FILE", help="hardware profile, in place of a bench file")
    for name, text in (
        ("--require-hardware", "what is not there is a failure, not a skip"),
        ("--allow-physical", "tests may use a physical PLC"),
        ("--allow-writes", "tests may write to a physical PLC, as its policy says"),
    ):
        group.addoption(name, action="store_const", const="1", help=text)
    group.addoption("--evidence-dir", metavar="DIR", help="keep the evidence of the run here")
    group.addoption("--seed", metavar="N", help="of the emulated plant's noise")
    group.addoption("--time-scale", metavar="X", help="plant seconds in a second, of an emulated PLC behind a wire")
    group.addoption("--lease-timeout", metavar="S", help="how long to wait for a bench that others use, s")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for line in (
        "hil: the test needs a PLC, emulated or physical; every test that uses one is marked so",
        "physical: the test needs a physical PLC",
        'requires(*what): tags of the bench, "plant" (one that can be disturbed), "watchdog" or "writes"',
        "destructive: may break something: a physical PLC needs --allow-writes, and the watchdog runs meanwhile",
        "limits(tag, low, high, unit): hold in every scan of the test; None leaves a side open",
        "safe_state(settings): tags and values, written before the bench's own safe state, in their order",
    ):
        config.addinivalue_line("markers", line)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that use a PLC are marked; under xdist those of a bench that is there only once go to one worker."""
    using = [item for item in items if _USES in getattr(item, "fixturenames", ())]
    for item in using:
        item.add_marker("hil")
    if using and hasattr(config, "workerinput") and _is_single(config):
        for item in using:
            item.add_marker(pytest.mark.xdist_group("testbed"))


def _is_single(config: pytest.Config) -> bool:
    """Whether there is only one of the bench. One that runs in this process every worker has for itself."""
    from testbed.core.errors import TestbedError
    from testbed.pytest_plugin.settings import asked, by_of
    from testbed.rig.bench import load_bench

    try:
        return by_of(load_bench(asked(config).bench)) != "in-process"
    except TestbedError:
        return False  # the first test says what is wrong


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this bench cannot do, before anything is opened."""
    if any(item.get_closest_marker(name) is not None for name in _MARKERS):
        _keeper(item.config).check(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What was measured goes with the report: to the terminal, JUnit, and from a worker to the one that prints."""
    report = yield
    if item.config.stash.get(_KEEPER, None) is not None and _USES in getattr(item, "fixturenames", ()):
        from testbed.pytest_plugin.telling import tell

        tell(item, call, report, item.stash.get(_TURN, None), item.config.stash[_KEEPER].evidence)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """After the last fixture: the bench is closed."""
    keeper = session.config.stash.get(_KEEPER, None)
    if keeper is not None:
        session.config.stash[_CLOSED] = keeper.close(int(exitstatus))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How many measurements there were, which of them are marginal, and where the evidence is."""
    notes = [
        str(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for key, value in getattr(report, "user_properties", ())
        if key == _NOTE
    ]
    closed = config.stash.get(_CLOSED, "")
    if notes or closed:
        from testbed.pytest_plugin.telling import summary

        for line in summary(notes, closed):
            terminalreporter.write_line(line)


def _keeper(config: pytest.Config) -> Keeper:
    if _KEEPER not in config.stash:
        from testbed.pytest_plugin.keeper import Keeper

        config.stash[_KEEPER] = Keeper(config)
    return config.stash[_KEEPER]


@pytest.fixture
def testbed_turn(request: pytest.FixtureRequest) -> Iterator[Turn]:
    """This test's turn at the line to the PLC; the other fixtures stand on it. The machine is safe afterwards."""
    keeper, item = _keeper(request.config), request.node
    turn = keeper.begin(item)
    item.stash[_TURN] = turn
    try:
        yield turn
    finally:
        keeper.end(item)


@pytest.fixture
def bench(testbed_turn: Turn, request: pytest.FixtureRequest) -> Bench:  # noqa: ARG001  # it must be open
    """The bench, as its file says, once its PLC is there."""
    return _keeper(request.config).bench


@pytest.fixture
def tags(request: pytest.FixtureRequest) -> Mapping[str, Tag]:
    """The tags by name; the PLC need not be there."""
    return {tag.name: tag for tag in _keeper(request.config).bench.tags}


@pytest.fixture
def plc(testbed_turn: Turn, request: pytest.FixtureRequest) -> Plc:
    """The PLC: read, write, wait."""
    from testbed.pytest_plugin.plc import Plc

    return Plc(testbed_turn, _keeper(request.config).opened.identity)


@pytest.fixture
def measure(testbed_turn: Turn) -> Measure:
    """Limits that read as a sentence."""
    from testbed.pytest_plugin.measuring import Measure

    return Measure(testbed_turn)


@pytest.fixture
def capture(testbed_turn: Turn) -> Captures:
    """Samples of a part of the test."""
    from testbed.pytest_plugin.capturing import Captures

    return Captures(testbed_turn)


@pytest.fixture
def plant(testbed_turn: Turn, request: pytest.FixtureRequest) -> Plant:
    """The emulated plant, to be disturbed. A skip where nobody may."""
    from testbed.pytest_plugin.plant import Plant

    keeper = _keeper(request.config)
    station = keeper.opened
    if station.owned is None:
        keeper.skip(f"the plant of bench {keeper.bench.name} cannot be disturbed: these tests did not start its PLC")
    return Plant(testbed_turn, station.owned, station.touched)


@pytest.fixture
def twin(testbed_turn: Turn, request: pytest.FixtureRequest) -> Twin:
    """What the twin's model says for the same inputs."""
    from testbed.pytest_plugin.twin import twin_of

    return twin_of(_keeper(request.config).opened, testbed_turn)


@pytest.fixture
def evidence(testbed_turn: Turn, request: pytest.FixtureRequest) -> Evidence:
    """What this test measured and captured, and a place for more."""
    from testbed.pytest_plugin.evidence import Evidence

    return Evidence(testbed_turn, _keeper(request.config).evidence.folder)
