// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Reference} from "./Reference.sol";
import {vm} from "./Vm.sol";

/// @dev The other way round: proofs that the recursion in Reference.sol makes, in a file that Python's proofs are judged
/// by. `WRITE_VECTORS=true` writes it anew.
contract VectorsTest {
    string private constant FILE = "test/vectors/solidity.json";
    uint256 private constant SEED = 9162;
    uint256 private constant SIZE = 37;

    function test_theCommittedVectorsAreWhatSolidityMakes() public {
        string memory made = document();
        if (vm.envOr("WRITE_VECTORS", false)) vm.writeFile(FILE, made);
        assert(keccak256(bytes(made)) == keccak256(bytes(vm.readFile(FILE))));
    }

    /// @dev All prefixes of one tree, and all leaves of it: leaf `i` is the 64 bytes seed || i.
    function document() private pure returns (string memory made) {
        made = string.concat('{"seed":', vm.toString(SEED), ',"size":', vm.toString(SIZE), ',"roots":[');
        for (uint256 size = 1; size <= SIZE; ++size) {
            made = string.concat(made, size == 1 ? "" : ",", quoted(Reference.root(SEED, 0, size)));
        }
        made = string.concat(made, '],"consistency":[');
        for (uint256 old = 1; old < SIZE; ++old) {
            bytes32[] memory path = Reference.subproof(SEED, old, 0, SIZE, true);
            made = string.concat(made, old == 1 ? "" : ",", listed(path));
        }
        made = string.concat(made, '],"inclusion":[');
        for (uint256 index = 0; index < SIZE; ++index) {
            bytes32[] memory path = Reference.inclusion(SEED, index, 0, SIZE);
            made = string.concat(made, index == 0 ? "" : ",", listed(path));
        }
        made = string.concat(made, "]}\n");
    }

    function listed(bytes32[] memory path) private pure returns (string memory made) {
        made = "\n[";
        for (uint256 i = 0; i < path.length; ++i) {
            made = string.concat(made, i == 0 ? "" : ",", quoted(path[i]));
        }
        made = string.concat(made, "]");
    }

    function quoted(bytes32 value) private pure returns (string memory) {
        return string.concat('"', vm.toString(value), '"');
    }
}
