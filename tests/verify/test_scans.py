"""Scans that are kept small are found as in a dictionary, whatever a log says of its counters."""

from hypothesis import given
from hypothesis import strategies as st

from testbed.verify.scans import Read, Scan, Scans

few = st.tuples(st.integers(0, 3), st.integers(0, 6))
rising = st.lists(few).map(sorted)
END = (2**64 - 1, 2**64 - 1)


@given(st.lists(few | st.just(END)) | rising | st.tuples(rising, rising).map(lambda two: two[0] + two[1]))
def test_as_a_dictionary_that_keeps_what_came_first(scans: list[Scan]) -> None:
    table, model = Scans(), dict[Scan, Read]()
    for index, scan in enumerate(scans):
        table.add(scan, index, 1000 - index)
        model.setdefault(scan, Read(scan, index, 1000 - index))
    assert list(table.reads()) == list(model.values())
    assert (list(table), len(table)) == (list(model), len(model))
    assert table.last == next(reversed(model.values()), None)
    for scan in [(boot, number) for boot in range(5) for number in range(8)] + [END]:
        assert (scan in table) is (scan in model)
        assert table.get(scan) == (model[scan].record if scan in model else None)
    for boot in range(5):
        found = sorted(table.of_boot(boot), key=lambda read: read.record)
        assert found == [read for read in model.values() if read.scan[0] == boot]
