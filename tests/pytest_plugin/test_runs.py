"""Runs of tests of a PLC as a person sees them: markers, skips, a broken bench, a failed measurement."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pytest_plugin.conftest import Runs

READS = "def test_one(plc): assert 0 <= plc['tank2.level'] <= 2\n"
TWO = READS + "def test_two(plc): assert plc['control.mode'] == 0\n"


def test_a_plain_project_needs_no_bench_file(inner: Runs) -> None:
    inner(TWO).assert_outcomes(passed=2)


def test_the_markers_are_registered(inner: Runs) -> None:
    result = inner("def test_nothing(): pass\n", "--markers")
    for name in ("hil", "physical", "requires", "destructive", "limits", "safe_state"):
        result.stdout.fnmatch_lines([f"@pytest.mark.{name}*"])


def test_tests_of_a_plc_are_marked_and_others_are_not(inner: Runs) -> None:
    inner(READS + "def test_other(): pass\n", "-m", "hil").assert_outcomes(passed=1, deselected=1)


def test_who_asks_for_no_fixture_loads_no_bench(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(
        "import sys\ndef test_light():\n"
        "    heavy = ('pydantic', 'pymodbus', 'asyncua', 'testbed.rig', 'web3', 'cryptography')\n"
        "    assert not [name for name in heavy if name in sys.modules]\n"
    )
    pytester.runpytest_subprocess("-p", "no:hypothesispytest").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ("physical", "it needs a physical PLC, that of bench water-cell is emulated"),
        ("requires('tank9.level')", "it requires tank9.level, and bench water-cell has none"),
    ],
)
def test_what_the_bench_has_not_is_a_skip_with_its_reason(inner: Runs, mark: str, reason: str) -> None:
    text = f"import pytest\n@pytest.mark.{mark}\n" + READS
    result = inner(text, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"*{reason}"])
    required = inner(text, "--require-hardware")
    required.assert_outcomes(failed=0, errors=1)
    required.stdout.fnmatch_lines([f"*required, and not there: {reason}"])


def test_what_it_has_is_run(inner: Runs) -> None:
    text = "import pytest\n@pytest.mark.requires('tank2.level', 'plant', 'writes', 'watchdog')\n" + READS
    inner(text).assert_outcomes(passed=1)


def test_a_box_is_left_alone_unless_somebody_allows_it(inner: Runs, box_file: Path) -> None:
    result = inner(TWO, f"--bench={box_file}", "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*bench water-cell has a physical PLC: add --allow-physical"])


def test_a_box_that_does_not_answer_is_a_skip_and_on_demand_a_failure(inner: Runs, box_file: Path) -> None:
    options = (f"--bench={box_file}", "--allow-physical", "-rs")
    result = inner(TWO, *options)
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*the PLC of bench water-cell does not answer: *no connection*"])
    inner(TWO, *options, "--require-hardware").assert_outcomes(errors=2)


def test_a_destructive_test_of_a_box_needs_one_word_more(inner: Runs, box_file: Path) -> None:
    text = "import pytest\n@pytest.mark.destructive\n" + READS
    result = inner(text, f"--bench={box_file}", "--allow-physical", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*it is destructive: add --allow-writes"])


def test_a_broken_bench_is_an_error_once_and_a_skip_with_its_first_cause_then(
    inner: Runs, bench_file: Callable[..., Path]
) -> None:
    path = bench_file("scan_ms = 100", "scan_ms = 0")
    result = inner(TWO + "def test_three(plc): pass\ndef test_other(): pass\n", f"--bench={path}", "-rs")
    result.assert_outcomes(errors=1, skipped=2, passed=1)
    result.stdout.fnmatch_lines(["*bench.toml:*plc.scan_ms*", "*mend:*"])
    result.stdout.fnmatch_lines(["*the bench is broken: *plc.scan_ms*"])


def test_a_machine_that_cannot_be_made_safe_breaks_the_bench(inner: Runs, bench_file: Callable[..., Path]) -> None:
    path = bench_file('{ tag = "pump.speed", low = 0.0', '{ tag = "pump.speed", low = 0.5')
    result = inner("def test_one(plc): plc['control.mode'] = 1\ndef test_two(plc): pass\n", f"--bench={path}", "-rs")
    result.assert_outcomes(errors=1, skipped=1)
    result.stdout.fnmatch_lines(["*its safe state was not reached: pump.speed: 0, must be 0.5 to 1*"])


SAFE = """
def test_it(plc):
    plc["control.mode"] = 2
    plc.wait_until("pump.speed").above(20, "%", limit=10)
    {end}

def test_afterwards(plc, measure):
    measure("control.mode").equals(0)
    measure("pump.speed").below(0.5, "%")
    measure("valve.position").below(0.5, "%")
"""


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ("pass", {"passed": 2}),
        ("assert False", {"passed": 1, "failed": 1}),
        ("raise RuntimeError('lost')", {"passed": 1, "failed": 1}),
        ("plc.wait_until('pump.speed').below(1, '%', limit=1)", {"passed": 1, "failed": 1}),
        ("plc.disconnect()", {"passed": 2}),
        ("import pytest; pytest.skip('enough')", {"passed": 1, "skipped": 1}),
    ],
    ids=["pass", "fail", "error", "timeout", "disconnected", "skip"],
)
def test_whatever_comes_of_a_test_the_machine_is_safe_afterwards(
    inner: Runs, end: str, outcome: dict[str, int]
) -> None:
    inner(SAFE.format(end=end)).assert_outcomes(**outcome)


def test_a_failed_measurement_says_what_was_wrong_and_shows_the_signal(inner: Runs) -> None:
    result = inner(
        """
        def test_it(plc, measure):
            plc["control.mode"] = 2
            plc.wait_until("tank2.level").above(0.55, "m", limit=60)
            measure("tank2.level").within(0.9, 1.1, "m")
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*measure(*).within(0.9, 1.1, *",
            "*LimitsBroken: tank2.level is 0.55* m, not 0.9 to 1.1 m",
            "*1.1 m > ------------*",
            "*0.9 m > ------------*",
            "*|*[*]*",
            "*+-----*-----+",
            "*-* s * 0 s",
            "measurements: 1 FAIL",
        ]
    )


def test_outcomes_are_kept_apart(inner: Runs) -> None:
    result = inner(
        """
        def test_pass(measure): measure("tank2.level").within(0.1, 1.9, "m")
        def test_marginal(measure): measure("tank2.level").within(0.49, 1.9, "m")
        def test_fail(measure): measure("tank2.level").above(1.0, "m")
        def test_unit(measure): measure("tank2.level").above(1.0, "cm")
        def test_no_unit(measure): measure("tank2.level").above(0.1)
        def test_timeout(plc): plc.wait_until("tank2.level").above(1.0, limit=1)
        """
    )
    result.assert_outcomes(passed=2, failed=4)
    result.stdout.fnmatch_lines(["measurements: 1 PASS, 1 FAIL, 2 ERROR, 1 TIMEOUT, 1 marginal"])
    result.stdout.fnmatch_lines(["  marginal: *test_marginal: tank2.level is 0.* m, 0.49 to 1.9 m"])
    result.stdout.fnmatch_lines(["*tank2.level: limits in cm, the tag is in m", '*write the limits in m, and "m"*'])
    result.stdout.fnmatch_lines(["*tank2.level: limits without a unit, the tag is in m", '*say it: "m"'])


def test_limits_of_a_marker_hold_in_every_scan(inner: Runs) -> None:
    result = inner(
        """
        import pytest

        @pytest.mark.limits("tank2.level", 0.0, 0.52, "m")
        def test_broken(plc):
            plc["control.mode"] = 2
            try:
                plc.wait_until("tank2.level").above(0.6, "m", limit=60)
            except AssertionError:
                pass  # it counts all the same

        @pytest.mark.limits("tank2.level", None, 1.9, "m")
        def test_kept(plc):
            plc.let_pass(5)
        """
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*tank2.level all the time (tank2.level) is 0.52* m, not 0 to 0.52 m*"])


def test_a_test_may_add_to_the_safe_state(inner: Runs) -> None:
    inner(
        """
        import pytest

        @pytest.mark.safe_state({"control.level_setpoint": 0.25})
        def test_it(plc):
            plc["control.level_setpoint"] = 1.5

        def test_afterwards(plc):
            assert plc["control.level_setpoint"] == 0.25
        """
    ).assert_outcomes(passed=2)


def test_what_ends_a_run_ends_it_at_once_and_safely(inner: Runs, bench_file: Callable[..., Path]) -> None:
    path = bench_file("stop_on = []", 'stop_on = ["estop.active"]')
    result = inner(
        """
        def test_it(plc):
            try:
                plc["control.mode"] = 2
                plc["estop.pressed"] = True
                plc.let_pass(5)
            except Exception:
                pass

        def test_never(plc): raise RuntimeError
        """,
        f"--bench={path}",
    )
    result.assert_outcomes(passed=1)  # it took the news for its own
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*the run ends: estop.active is true*"])


def test_the_same_seed_gives_the_same_noise_and_another_one_does_not(inner: Runs) -> None:
    text = "def test_it(plc):\n    plc.let_pass(1)\n    print('LEVEL', plc['tank2.level'])\n"

    def level(seed: str) -> str:
        lines = inner(text, "-s", f"--seed={seed}").outlines
        return next(line for line in lines if "LEVEL" in line)

    assert level("7") == level("7")
    assert level("7") != level("8")


def test_evidence_of_a_test_has_its_measurements_and_captures(inner: Runs) -> None:
    inner(
        """
        def test_it(plc, measure, capture, evidence):
            with capture("tank2.level", name="rest") as seen:
                plc.let_pass(2)
            measure("tank2.level").within(0, 2, "m")
            assert [one.outcome.value for one in evidence.measurements] == ["PASS"]
            (kept,) = evidence.captures
            assert (kept.name, kept.units, len(kept.times)) == ("rest", ("m",), 21)
            assert kept.column("tank2.level") == tuple(seen.values("tank2.level"))
            assert evidence.attach("note.txt", "words") is None
        """
    ).assert_outcomes(passed=1)


def test_every_worker_has_a_bench_of_its_own_in_process(inner: Runs) -> None:
    inner(TWO + "def test_three(plc): plc['control.mode'] = 2\n", "-n", "2").assert_outcomes(passed=3)


FAULTY = [
    ("limits('tank2.level', 5, 1, 'm')", "*limits from 5 to 1*"),
    ("limits('tank2.level', 0, 'x', 'm')", "*limits 0 and 'x'*"),
    ("limits('tank2.level', 0, 1, 'cm')", "*limits in cm, the tag is in m*"),
    ("limits('tank2.levle', 0, 1, 'm')", "*there is no tag 'tank2.levle'*"),
    ("limits()", "*the marker limits takes a tag*"),
    ("safe_state({'nope': 0})", "*safe_state with nope: there is no such tag*"),
    ("safe_state({'tank2.level': 0})", "*safe_state with tank2.level: it cannot be written*"),
    ("safe_state({'control.level_setpoint': 'x'})", "*'x' is no number*"),
    ("safe_state(5)", "*the marker safe_state without its settings*"),
]


def test_a_faulty_marker_is_the_fault_of_its_test_and_the_bench_stays_well(inner: Runs) -> None:
    tests = "".join(f"@pytest.mark.{mark}\ndef test_{n}(plc): pass\n" for n, (mark, _) in enumerate(FAULTY))
    result = inner("import pytest\n" + tests + "def test_well(plc): plc['control.mode'] = 2\n")
    result.assert_outcomes(passed=1, errors=len(FAULTY))
    for _, said in FAULTY:
        result.stdout.fnmatch_lines([said])


@pytest.mark.parametrize(
    "line",
    [
        "plc['tank2.levle']",
        "plc.wait_until('tank2.levle')",
        "plc['control.level_setpoint'] = 99",
        "plc['control.level_setpoint'] = 'x'",
        "plc['tank2.level'] = 1.0",
        "measure('tank2.level').within(2, 1, 'm')",
        "measure('tank2.level').within('x', 1, 'm')",
        "measure('tank2.level').equals(1, 'm', tolerance=-1)",
    ],
)
def test_a_mistake_is_shown_at_the_line_of_the_test_and_not_within_the_plugin(inner: Runs, line: str) -> None:
    result = inner(f"def test_one(plc, measure):\n    {line}\n")
    result.assert_outcomes(failed=1)
    said = result.stdout.str()
    assert "mend: " in said
    assert "testbed/" not in said
    assert "concurrent" not in said
