"""The committed artifact, proofs and lock are what the sources beside them make."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from eth_utils.crypto import keccak

from testbed.chain import compile as compiler
from testbed.chain.artifact import ARTIFACT_NAME, load_artifact
from testbed.core.errors import UsageError


def test_the_committed_artifact_is_what_the_sources_compile_to() -> None:
    if not (compiler.CONTRACTS / "node_modules" / "solc").is_dir() or compiler.node_folder() is None:
        pytest.skip("needs the compiler: `npm ci` in contracts/, and the program `node`")
    committed = Path(compiler.__file__).with_name(ARTIFACT_NAME).read_bytes()
    assert compiler.artifact_text(compiler.compile_registry()).encode() == committed


def test_a_missing_compiler_is_said_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mend: run `make testbed`"):
        compiler.compile_registry(tmp_path)


def test_forge_and_the_artifact_have_the_same_settings() -> None:
    profile = tomllib.loads((compiler.CONTRACTS / "foundry.toml").read_text(encoding="utf-8"))["profile"]["default"]
    settings = json.loads(load_artifact().settings)
    assert settings["evmVersion"] == profile["evm_version"]
    assert settings["optimizer"] == {"enabled": profile["optimizer"], "runs": profile["optimizer_runs"]}
    assert settings["metadata"] == {
        "appendCBOR": profile["cbor_metadata"],
        "bytecodeHash": profile["bytecode_hash"],
    }


def test_the_artifact_is_of_the_compiler_in_the_lock() -> None:
    lock = json.loads((compiler.CONTRACTS / "package-lock.json").read_text(encoding="utf-8"))
    assert load_artifact().compiler.partition("+")[0] == lock["packages"]["node_modules/solc"]["version"]


def test_the_code_hash_is_that_of_the_runtime_code() -> None:
    artifact = load_artifact()
    assert artifact.code_hash == keccak(artifact.runtime)
    assert artifact.bytecode.endswith(artifact.runtime)


def test_the_lock_names_no_address() -> None:
    text = (compiler.CONTRACTS / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in text
    packages = json.loads(text)["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)


def test_the_committed_proofs_are_what_the_reference_makes(vector_maker: dict[str, Any]) -> None:
    assert vector_maker["VECTORS"].read_text(encoding="utf-8") == vector_maker["document"]()
    assert vector_maker["tree_hash"](0, 8).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
