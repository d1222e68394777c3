// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Merkle tree proofs of RFC 9162 with SHA-256
/// @notice Both checks end only when the path is used up exactly: a missing or an extra hash is a wrong proof.
/// @dev Sizes are numbers of leaves, at most 2^64 - 1. Order is evidence: a pair is never sorted. A root does not
/// hold its size: what binds the two is the signature of the checkpoint that they come from.
library Rfc9162 {
    /// @notice Does the tree of `oldSize` leaves stand unchanged at the front of the tree of `size` leaves?
    /// @dev RFC 9162, section 2.1.4.2. Asks for 0 < oldSize < size; anything else is answered with false.
    /// @param oldSize leaves of the smaller tree
    /// @param oldRoot its root
    /// @param size leaves of the larger tree
    /// @param root its root
    /// @param proof consistency path, in the order of the RFC
    function isConsistent(uint64 oldSize, bytes32 oldRoot, uint64 size, bytes32 root, bytes32[] calldata proof)
        internal
        view
        returns (bool)
    {
        if (oldSize == 0 || oldSize >= size) return false;
        uint256 fn = uint256(oldSize) - 1;
        uint256 sn = uint256(size) - 1;
        uint256 next = 0;
        bytes32 fr = oldRoot;
        // Step 2: where oldSize is a power of two, the smaller tree is itself a node of the larger one.
        if (oldSize & (oldSize - 1) != 0) {
            if (proof.length == 0) return false;
            fr = proof[0];
            next = 1;
        }
        // Step 4
        while (fn & 1 == 1) {
            fn >>= 1;
            sn >>= 1;
        }
        bytes32 sr = fr;
        // Step 6
        for (; next < proof.length; ++next) {
            if (sn == 0) return false;
            bytes32 c = proof[next];
            if (fn & 1 == 1 || fn == sn) {
                fr = nodeHash(c, fr);
                sr = nodeHash(c, sr);
                while (fn & 1 == 0 && fn != 0) {
                    fn >>= 1;
                    sn >>= 1;
                }
            } else {
                sr = nodeHash(sr, c);
            }
            fn >>= 1;
            sn >>= 1;
        }
        // Step 7
        return sn == 0 && fr == oldRoot && sr == root;
    }

    /// @notice Does `leafHash` stand at `index` of the tree of `size` leaves?
    /// @dev RFC 9162, section 2.1.3.2.
    /// @param leafHash SHA-256(00 || leaf)
    /// @param index position of the leaf, from 0
    /// @param size leaves of the tree
    /// @param root its root
    /// @param proof inclusion path, from the leaf's sibling to the root's child
    function isIncluded(bytes32 leafHash, uint64 index, uint64 size, bytes32 root, bytes32[] calldata proof)
        internal
        view
        returns (bool)
    {
        if (index >= size) return false;
        uint256 fn = index;
        uint256 sn = uint256(size) - 1;
        bytes32 r = leafHash;
        for (uint256 next = 0; next < proof.length; ++next) {
            if (sn == 0) return false;
            bytes32 p = proof[next];
            if (fn & 1 == 1 || fn == sn) {
                r = nodeHash(p, r);
                while (fn & 1 == 0 && fn != 0) {
                    fn >>= 1;
                    sn >>= 1;
                }
            } else {
                r = nodeHash(r, p);
            }
            fn >>= 1;
            sn >>= 1;
        }
        return sn == 0 && r == root;
    }

    /// @notice SHA-256(01 || left || right), RFC 9162, section 2.1.1.
    function nodeHash(bytes32 left, bytes32 right) internal view returns (bytes32 node) {
        // The 65 bytes are put above the free memory pointer, which stays where it is: the next call uses the same
        // place again, and no memory is paid for twice, as it is with `sha256(abi.encodePacked(...))`.
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore8(input, 1)
            mstore(add(input, 1), left)
            mstore(add(input, 33), right)
            // Precompile 2 is SHA-256. It fails only when it runs out of gas, and then so must the caller.
            if iszero(staticcall(gas(), 2, input, 65, 0x00, 32)) { revert(0, 0) }
            node := mload(0x00)
        }
    }
}
