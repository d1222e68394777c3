// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AnchorRegistry} from "../src/AnchorRegistry.sol";
import {Reference} from "./Reference.sol";
import {vm} from "./Vm.sol";

contract AnchorRegistryTest {
    AnchorRegistry private registry;

    string private constant ORIGIN = "bench.example/source";
    uint64 private constant START = 1_700_000_000;
    uint256 private constant SEED = 7;

    function setUp() public {
        registry = new AnchorRegistry();
        vm.warp(START);
    }

    function test_theFirstHeadNeedsNoProof() public {
        vm.expectEmit(true, false, false, true);
        emit AnchorRegistry.Anchored(id(), 3, root(3), START);
        grow(0, 0, 3);
        assert(registry.commitmentOf(id()) == commitment(3, START));
    }

    function test_aHeadReplacesTheOneBefore() public {
        grow(0, 0, 3);
        vm.warp(START + 10);
        grow(3, START, 8);
        assert(registry.commitmentOf(id()) == commitment(8, START + 10));
    }

    function test_theSlotIsWhereTheProofLooksForIt() public {
        grow(0, 0, 3);
        bytes32 slot = keccak256(abi.encode(id(), uint256(0)));
        assert(registry.commitmentOf(id()) == vm.load(address(registry), slot));
    }

    function test_aLogBelongsToItsSubmitter() public {
        grow(0, 0, 3);
        vm.startPrank(address(0xbeef));
        grow(0, 0, 5);
        vm.stopPrank();
        assert(registry.commitmentOf(id()) == commitment(3, START));
        assert(registry.commitmentOf(registry.logId(address(0xbeef), ORIGIN)) == commitment(5, START));
    }

    function test_logIdIsOverSubmitterAndOrigin() public view {
        assert(id() == keccak256(abi.encode(address(this), ORIGIN)));
        assert(id() != registry.logId(address(this), "bench.example/twin"));
    }

    function test_wrongOldValuesAreRefused() public {
        bytes32[] memory proof = Reference.subproof(SEED, 3, 0, 8, true);
        bytes memory nothingYet = abi.encodeWithSelector(AnchorRegistry.WrongPrevious.selector, bytes32(0));
        expect(nothingYet, 3, root(3), START, 8, root(8), proof);
        expect(nothingYet, 0, root(3), 0, 8, root(8), proof);
        grow(0, 0, 3);
        bytes memory wrong = abi.encodeWithSelector(AnchorRegistry.WrongPrevious.selector, commitment(3, START));
        expect(wrong, 0, 0, 0, 8, root(8), new bytes32[](0));
        expect(wrong, 2, root(3), START, 8, root(8), proof);
        expect(wrong, 3, root(4), START, 8, root(8), proof);
        expect(wrong, 3, root(3), START + 1, 8, root(8), proof);
        grow(3, START, 8);
    }

    function test_aHeadThatDidNotGrowIsRefused() public {
        bytes32[] memory none = new bytes32[](0);
        expect(abi.encodeWithSelector(AnchorRegistry.NotGrown.selector, 0, 0), 0, 0, 0, 0, root(1), none);
        grow(0, 0, 3);
        expect(abi.encodeWithSelector(AnchorRegistry.NotGrown.selector, 3, 3), 3, root(3), START, 3, root(3), none);
        expect(abi.encodeWithSelector(AnchorRegistry.NotGrown.selector, 3, 2), 3, root(3), START, 2, root(2), none);
    }

    function test_aFirstHeadWithAProofIsRefused() public {
        bytes memory wrong = abi.encodeWithSelector(AnchorRegistry.Inconsistent.selector, 0, 8);
        expect(wrong, 0, 0, 0, 8, root(8), new bytes32[](1));
    }

    function testFuzz_aFlippedProofIsRefused(uint8 old_, uint8 size_, uint256 where, uint8 bit) public {
        uint64 old = 1 + old_ % 20;
        uint64 size = old + 1 + size_ % 20;
        grow(0, 0, old);
        bytes32[] memory proof = Reference.subproof(SEED, old, 0, size, true);
        bytes32 newRoot = root(size);
        where %= proof.length + 1;
        if (where == proof.length) newRoot ^= bytes32(uint256(1) << bit);
        else proof[where] ^= bytes32(uint256(1) << bit);
        expect(
            abi.encodeWithSelector(AnchorRegistry.Inconsistent.selector, old, size),
            old,
            root(old),
            START,
            size,
            newRoot,
            proof
        );
        grow(old, START, size);
    }

    function testFuzz_aLogGrowsInAnySteps(uint8[6] calldata steps) public {
        uint64 size = 0;
        uint64 time = 0;
        for (uint64 i = 0; i < steps.length; ++i) {
            uint64 larger = size + 1 + steps[i] % 9;
            vm.warp(START + i);
            grow(size, time, larger);
            (size, time) = (larger, START + i);
            assert(registry.commitmentOf(id()) == commitment(size, time));
        }
    }

    function testFuzz_inclusionIsJudgedUnderTheLastHeadOnly(uint8 size_, uint64 index) public {
        uint64 size = 2 + size_ % 30;
        index %= size;
        bytes32 leaf = Reference.leafHash(SEED, index);
        bytes32[] memory path = Reference.inclusion(SEED, index, 0, size);
        assert(!registry.verifyInclusion(id(), size, root(size), START, leaf, index, path));
        grow(0, 0, size);
        assert(registry.verifyInclusion(id(), size, root(size), START, leaf, index, path));
        assert(!registry.verifyInclusion(id(), size, root(size), START + 1, leaf, index, path));
        assert(!registry.verifyInclusion(id(), size, root(size), START, ~leaf, index, path));
        assert(!registry.verifyInclusion(id(), size, root(size), START, leaf, (index + 1) % size, path));
        assert(!registry.verifyInclusion(~id(), size, root(size), START, leaf, index, path));
        grow(size, START, size + 1);
        assert(!registry.verifyInclusion(id(), size, root(size), START, leaf, index, path));
    }

    function test_etherIsRefused() public {
        (bool taken,) = address(registry).call{value: 1}("");
        assert(!taken);
    }

    /// @dev Anchor the tree of `size` leaves over that of `old`, with the right values.
    function grow(uint64 old, uint64 oldTime, uint64 size) private {
        bytes32[] memory proof = old == 0 ? new bytes32[](0) : Reference.subproof(SEED, old, 0, size, true);
        registry.anchor(ORIGIN, old, old == 0 ? bytes32(0) : root(old), oldTime, size, root(size), proof);
    }

    function expect(
        bytes memory reason,
        uint64 old,
        bytes32 oldRoot,
        uint64 oldTime,
        uint64 size,
        bytes32 newRoot,
        bytes32[] memory proof
    ) private {
        vm.expectRevert(reason);
        registry.anchor(ORIGIN, old, oldRoot, oldTime, size, newRoot, proof);
    }

    function id() private view returns (bytes32) {
        return registry.logId(address(this), ORIGIN);
    }

    function root(uint64 size) private pure returns (bytes32) {
        return Reference.root(SEED, 0, size);
    }

    function commitment(uint64 size, uint64 time) private pure returns (bytes32) {
        return keccak256(abi.encode(size, root(size), time));
    }
}
