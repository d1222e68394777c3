// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Rfc9162} from "../src/Rfc9162.sol";
import {Reference} from "./Reference.sol";
import {vm} from "./Vm.sol";

/// @dev The library's functions take calldata, so that the tests call them through a contract.
contract Verifier {
    function isConsistent(uint64 oldSize, bytes32 oldRoot, uint64 size, bytes32 root, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return Rfc9162.isConsistent(oldSize, oldRoot, size, root, proof);
    }

    function isIncluded(bytes32 leafHash, uint64 index, uint64 size, bytes32 root, bytes32[] calldata proof)
        external
        view
        returns (bool)
    {
        return Rfc9162.isIncluded(leafHash, index, size, root, proof);
    }
}

/// @dev Fields in alphabetical order: this is how forge reads JSON objects.
struct Consistency {
    bytes32 newRoot;
    uint256 newSize;
    bytes32 oldRoot;
    uint256 oldSize;
    bytes32[] proof;
}

struct Inclusion {
    uint256 index;
    bytes32 leafHash;
    bytes32[] proof;
    bytes32 root;
    uint256 size;
}

contract Rfc9162Test {
    Verifier private verifier;
    Consistency[] private growths;
    Inclusion[] private places;

    function setUp() public {
        verifier = new Verifier();
        take(vm.readFile("test/vectors/rfc9162.json"));
        take(vm.readFile("test/vectors/large.json"));
    }

    function take(string memory json) private {
        Consistency[] memory growths_ = abi.decode(vm.parseJson(json, ".consistency"), (Consistency[]));
        for (uint256 i = 0; i < growths_.length; ++i) {
            growths.push(growths_[i]);
        }
        Inclusion[] memory places_ = abi.decode(vm.parseJson(json, ".inclusion"), (Inclusion[]));
        for (uint256 i = 0; i < places_.length; ++i) {
            places.push(places_[i]);
        }
    }

    function test_theLargestTreesAreAmongTheVectors() public view {
        uint256 largest = 0;
        for (uint256 i = 0; i < growths.length; ++i) {
            if (growths[i].newSize > largest) largest = growths[i].newSize;
        }
        assert(largest == type(uint64).max);
    }

    function test_everyVectorHolds() public view {
        assert(growths.length > 30 && places.length > 40);
        for (uint256 i = 0; i < growths.length; ++i) {
            assert(consistent(growths[i]));
        }
        for (uint256 i = 0; i < places.length; ++i) {
            assert(included(places[i]));
        }
    }

    function test_aProofOfAnotherLengthFails() public view {
        for (uint256 i = 0; i < growths.length; ++i) {
            Consistency memory c = growths[i];
            bytes32[] memory proof = c.proof;
            c.proof = Reference.append(proof, c.newRoot);
            assert(!consistent(c));
            c.proof = shortened(proof);
            assert(!consistent(c));
        }
        for (uint256 i = 0; i < places.length; ++i) {
            Inclusion memory p = places[i];
            bytes32[] memory proof = p.proof;
            p.proof = Reference.append(proof, p.root);
            assert(!included(p));
            if (proof.length == 0) continue;
            p.proof = shortened(proof);
            assert(!included(p));
        }
    }

    function test_sizesThatDoNotGrowFail() public view {
        bytes32 root = growths[0].oldRoot;
        assert(!verifier.isConsistent(0, 0, 1, root, new bytes32[](0)));
        assert(!verifier.isConsistent(1, root, 1, root, new bytes32[](0)));
        assert(!verifier.isConsistent(2, root, 1, root, new bytes32[](1)));
        assert(!verifier.isIncluded(root, 1, 1, root, new bytes32[](0)));
        assert(!verifier.isIncluded(root, 0, 0, root, new bytes32[](0)));
    }

    /// @dev The sizes at the end of the range neither overflow nor run for ever.
    function test_theLargestSizesEnd() public view {
        uint64 top = type(uint64).max;
        assert(!verifier.isConsistent(top - 1, 0, top, 0, new bytes32[](64)));
        assert(!verifier.isConsistent(uint64(1) << 63, 0, top, 0, new bytes32[](63)));
        assert(!verifier.isIncluded(0, top - 1, top, 0, new bytes32[](64)));
    }

    function testFuzz_oneFlippedBitOfAConsistencyProofFails(uint256 which, uint256 where, uint8 bit) public view {
        Consistency memory c = growths[which % growths.length];
        where %= c.proof.length + 2;
        if (where == c.proof.length) c.oldRoot = flipped(c.oldRoot, bit);
        else if (where > c.proof.length) c.newRoot = flipped(c.newRoot, bit);
        else c.proof[where] = flipped(c.proof[where], bit);
        assert(!consistent(c));
    }

    function testFuzz_oneFlippedBitOfAnInclusionProofFails(uint256 which, uint256 where, uint8 bit) public view {
        Inclusion memory p = places[which % places.length];
        where %= p.proof.length + 2;
        if (where == p.proof.length) p.leafHash = flipped(p.leafHash, bit);
        else if (where > p.proof.length) p.root = flipped(p.root, bit);
        else p.proof[where] = flipped(p.proof[where], bit);
        assert(!included(p));
    }

    function testFuzz_anotherIndexFails(uint256 which, uint64 index) public view {
        Inclusion memory p = places[which % places.length];
        vm.assume(index != p.index);
        p.index = index;
        assert(!included(p));
    }

    function testFuzz_everyIndexOfARandomTreeIsIncluded(uint256 seed, uint8 size_) public view {
        uint64 size = 1 + size_ % 24;
        bytes32 root = Reference.root(seed, 0, size);
        for (uint64 index = 0; index < size; ++index) {
            bytes32 leaf = Reference.leafHash(seed, index);
            bytes32[] memory path = Reference.inclusion(seed, index, 0, size);
            assert(verifier.isIncluded(leaf, index, size, root, path));
            assert(!verifier.isIncluded(leaf, (index + 1) % size, size, root, path) || size == 1);
        }
    }

    function testFuzz_aRandomTreeIsConsistentWithEveryPrefix(uint256 seed, uint8 size_) public view {
        uint64 size = 2 + size_ % 24;
        bytes32 root = Reference.root(seed, 0, size);
        for (uint64 old = 1; old < size; ++old) {
            bytes32 oldRoot = Reference.root(seed, 0, old);
            bytes32[] memory path = Reference.subproof(seed, old, 0, size, true);
            assert(verifier.isConsistent(old, oldRoot, size, root, path));
            // The tree of another seed never was a prefix of this one.
            assert(!verifier.isConsistent(old, Reference.root(~seed, 0, old), size, root, path));
        }
    }

    function consistent(Consistency memory c) private view returns (bool) {
        return verifier.isConsistent(uint64(c.oldSize), c.oldRoot, uint64(c.newSize), c.newRoot, c.proof);
    }

    function included(Inclusion memory p) private view returns (bool) {
        return verifier.isIncluded(p.leafHash, uint64(p.index), uint64(p.size), p.root, p.proof);
    }

    function shortened(bytes32[] memory path) private pure returns (bytes32[] memory shorter) {
        shorter = new bytes32[](path.length - 1);
        for (uint256 i = 0; i < shorter.length; ++i) {
            shorter[i] = path[i];
        }
    }

    function flipped(bytes32 value, uint8 bit) private pure returns (bytes32) {
        return value ^ bytes32(uint256(1) << bit);
    }
}
