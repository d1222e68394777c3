// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Rfc9162} from "./Rfc9162.sol";

/// @title Keeps the head of append-only logs, and accepts a new head only with a proof that the log grew
/// @notice A log's id is made of its submitter and its origin, so nobody writes into another one's log. There is no
/// owner, no upgrade and no way to take a head back. One storage slot per log holds a commitment to the last head: the
/// caller opens it with the old values. Earlier heads follow from events, and from the last head by consistency proofs.
contract AnchorRegistry {
    /// @notice keccak256(abi.encode(uint64 size, bytes32 root, uint64 time)) of a log's last head, zero before that.
    mapping(bytes32 logId => bytes32 commitment) public commitmentOf;

    /// @notice A log grew to `size` leaves under `root`. `time` is the block's timestamp, in seconds.
    event Anchored(bytes32 indexed logId, uint64 size, bytes32 root, uint64 time);

    /// @notice The old values given do not open the log's slot, which holds `commitment`.
    error WrongPrevious(bytes32 commitment);

    /// @notice A head has to be larger than the one before it.
    error NotGrown(uint64 oldSize, uint64 size);

    /// @notice The proof does not show that the old head is a prefix of the new one.
    error Inconsistent(uint64 oldSize, uint64 size);

    /// @notice Put a new head of the caller's log `origin` in the place of the old one.
    /// @dev For the first head the old values are zero and the proof is empty.
    /// @param origin name of the log, as in its checkpoints
    /// @param oldSize leaves of the last head
    /// @param oldRoot root of the last head
    /// @param oldTime time of the last head, as in its event
    /// @param size leaves of the new head
    /// @param root its RFC 9162 tree hash
    /// @param proof RFC 9162 consistency path from oldSize to size
    function anchor(
        string calldata origin,
        uint64 oldSize,
        bytes32 oldRoot,
        uint64 oldTime,
        uint64 size,
        bytes32 root,
        bytes32[] calldata proof
    ) external {
        bytes32 id = logId(msg.sender, origin);
        bool first = oldSize == 0 && oldRoot == 0 && oldTime == 0;
        bytes32 held = commitmentOf[id];
        if (held != (first ? bytes32(0) : _commitment(oldSize, oldRoot, oldTime))) revert WrongPrevious(held);
        if (size <= oldSize) revert NotGrown(oldSize, size);
        bool consistent = first ? proof.length == 0 : Rfc9162.isConsistent(oldSize, oldRoot, size, root, proof);
        if (!consistent) revert Inconsistent(oldSize, size);
        uint64 time = uint64(block.timestamp);
        commitmentOf[id] = _commitment(size, root, time);
        emit Anchored(id, size, root, time);
    }

    /// @notice Id of the log `origin` of `submitter`.
    function logId(address submitter, string calldata origin) public pure returns (bytes32) {
        return keccak256(abi.encode(submitter, origin));
    }

    /// @notice Is (size, root, time) the log's last head, and does `leafHash` stand at `index` of its tree?
    /// @param log id of the log
    /// @param size leaves of the head
    /// @param root root of the head
    /// @param time time of the head, as in its event
    /// @param leafHash SHA-256(00 || leaf)
    /// @param index position of the leaf, from 0
    /// @param proof RFC 9162 inclusion path
    function verifyInclusion(
        bytes32 log,
        uint64 size,
        bytes32 root,
        uint64 time,
        bytes32 leafHash,
        uint64 index,
        bytes32[] calldata proof
    ) external view returns (bool) {
        if (commitmentOf[log] != _commitment(size, root, time)) return false;
        return Rfc9162.isIncluded(leafHash, index, size, root, proof);
    }

    function _commitment(uint64 size, bytes32 root, uint64 time) private pure returns (bytes32) {
        return keccak256(abi.encode(size, root, time));
    }
}
