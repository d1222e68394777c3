// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev RFC 9162, section 2.1, as it is defined: recursion over leaf hashes that follow from a seed. Slow, and on
/// purpose without a line in common with src/Rfc9162.sol.
library Reference {
    function leafHash(uint256 seed, uint256 index) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), seed, index));
    }

    /// @dev MTH(D[start:stop]), section 2.1.1
    function root(uint256 seed, uint256 start, uint256 stop) internal pure returns (bytes32) {
        if (stop - start == 1) return leafHash(seed, start);
        uint256 middle = start + split(stop - start);
        return sha256(abi.encodePacked(bytes1(0x01), root(seed, start, middle), root(seed, middle, stop)));
    }

    /// @dev PATH(index, D[start:stop]), section 2.1.3.1
    function inclusion(uint256 seed, uint256 index, uint256 start, uint256 stop)
        internal
        pure
        returns (bytes32[] memory)
    {
        if (stop - start == 1) return new bytes32[](0);
        uint256 k = split(stop - start);
        uint256 middle = start + k;
        if (index < k) return append(inclusion(seed, index, start, middle), root(seed, middle, stop));
        return append(inclusion(seed, index - k, middle, stop), root(seed, start, middle));
    }

    /// @dev SUBPROOF(old, D[start:stop], whole), section 2.1.4.1
    function subproof(uint256 seed, uint256 old, uint256 start, uint256 stop, bool whole)
        internal
        pure
        returns (bytes32[] memory)
    {
        if (old == stop - start) {
            return whole ? new bytes32[](0) : append(new bytes32[](0), root(seed, start, stop));
        }
        uint256 k = split(stop - start);
        uint256 middle = start + k;
        if (old <= k) return append(subproof(seed, old, start, middle, whole), root(seed, middle, stop));
        return append(subproof(seed, old - k, middle, stop, false), root(seed, start, middle));
    }

    /// @dev The largest power of two below `size`.
    function split(uint256 size) internal pure returns (uint256 k) {
        k = 1;
        while (k * 2 < size) k *= 2;
    }

    function append(bytes32[] memory path, bytes32 node) internal pure returns (bytes32[] memory longer) {
        longer = new bytes32[](path.length + 1);
        for (uint256 i = 0; i < path.length; ++i) {
            longer[i] = path[i];
        }
        longer[path.length] = node;
    }
}
