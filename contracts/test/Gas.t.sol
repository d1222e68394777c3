// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AnchorRegistry} from "../src/AnchorRegistry.sol";
import {vm} from "./Vm.sol";

/// @dev Fields in alphabetical order: this is how forge reads JSON objects.
struct Growth {
    bytes32 newRoot;
    uint256 newSize;
    bytes32 oldRoot;
    uint256 oldSize;
    bytes32[] proof;
}

/// @dev What an anchor costs. `.gas-snapshot` has the figures, and `make check` compares. Only the call itself is
/// metered, without the 21,000 of a transaction and its data.
contract AnchorGasTest {
    AnchorRegistry private registry;
    Growth[] private growths;

    /// @dev The logs' first heads stand in earlier transactions: their slots are cold, as in a transaction of its own.
    function setUp() public {
        registry = new AnchorRegistry();
        vm.warp(1_700_000_000);
        bytes memory found = vm.parseJson(vm.readFile("test/vectors/large.json"), ".gas");
        Growth[] memory growths_ = abi.decode(found, (Growth[]));
        for (uint256 i = 0; i < growths_.length; ++i) {
            growths.push(growths_[i]);
            registry.anchor(origin(i), 0, 0, 0, uint64(growths_[i].oldSize), growths_[i].oldRoot, new bytes32[](0));
        }
    }

    function test_theFirstAnchor() public {
        vm.pauseGasMetering();
        (string memory another, bytes32 root) = ("bench.example/other", growths[0].newRoot);
        bytes memory call = abi.encodeCall(AnchorRegistry.anchor, (another, 0, 0, 0, 1, root, new bytes32[](0)));
        metered(call);
    }

    function test_aMillionLeavesAndOneMore() public {
        measured(0, 1);
    }

    function test_aMillionLeavesAnd256More() public {
        measured(1, 256);
    }

    function test_aMillionLeavesAnd65536More() public {
        measured(2, 65_536);
    }

    function test_aBillionLeavesAnd256More() public {
        measured(3, 256);
    }

    function measured(uint256 which, uint256 more) private {
        vm.pauseGasMetering();
        Growth memory g = growths[which];
        assert(g.newSize - g.oldSize == more);
        (uint64 old, uint64 size, uint64 time) = (uint64(g.oldSize), uint64(g.newSize), uint64(block.timestamp));
        metered(abi.encodeCall(AnchorRegistry.anchor, (origin(which), old, g.oldRoot, time, size, g.newRoot, g.proof)));
    }

    function metered(bytes memory call) private {
        vm.resumeGasMetering();
        (bool done,) = address(registry).call(call);
        vm.pauseGasMetering();
        assert(done);
    }

    function origin(uint256 which) private pure returns (string memory) {
        return string.concat("bench.example/", vm.toString(which));
    }
}
