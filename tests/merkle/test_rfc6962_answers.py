"""The published answers of RFC 6962's eight-leaf test tree."""

import json
from pathlib import Path
from typing import Any

import pytest

from testbed.merkle.proofs import verify_consistency, verify_inclusion
from testbed.merkle.tree import EMPTY_ROOT, CompactRange, Tree, leaf_hash

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "merkle_rfc6962.json").read_text())
LEAVES = [leaf_hash(bytes.fromhex(entry)) for entry in VECTORS["entries"]]
ROOTS = [EMPTY_ROOT, *map(bytes.fromhex, VECTORS["roots"])]


@pytest.mark.parametrize("size", range(9))
def test_root_of_each_size(size: int) -> None:
    assert Tree(LEAVES).root(size) == ROOTS[size]
    assert Tree(LEAVES[:size]).root() == ROOTS[size]
    assert CompactRange(LEAVES[:size]).root() == ROOTS[size]


def test_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("case", VECTORS["inclusion"], ids=str)
def test_inclusion_path(case: dict[str, Any]) -> None:
    index, size, path = case["index"], case["size"], [bytes.fromhex(node) for node in case["path"]]
    assert Tree(LEAVES).inclusion_path(index, size) == path
    verify_inclusion(LEAVES[index], index, size, path, ROOTS[size])


@pytest.mark.parametrize("case", VECTORS["consistency"], ids=str)
def test_consistency_path(case: dict[str, Any]) -> None:
    old, new, path = case["old"], case["new"], [bytes.fromhex(node) for node in case["path"]]
    assert Tree(LEAVES).consistency_path(old, new) == path
    verify_consistency(old, ROOTS[old], new, ROOTS[new], path)
