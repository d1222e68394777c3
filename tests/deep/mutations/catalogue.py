"""Every cell of the campaign. A new layer, operation or attacker is a module with CELLS of its own, named here."""

from tests.deep.mutations import (
    bundles,
    frames,
    journal,
    keyed,
    nodes,
    published,
    rebuilt,
    rows,
    said,
    several,
    signing,
    tiles,
)
from tests.deep.mutations.cell import Cell

CELLS: tuple[Cell, ...] = (
    *rows.CELLS,
    *published.CELLS,
    *tiles.CELLS,
    *bundles.CELLS,
    *journal.CELLS,
    *nodes.CELLS,
    *keyed.CELLS,
    *frames.CELLS,
    *signing.CELLS,
    *rebuilt.CELLS,
    *said.CELLS,
    *several.CELLS,
)
