// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AnchorRegistry} from "../src/AnchorRegistry.sol";
import {Reference} from "./Reference.sol";
import {Vm, vm} from "./Vm.sol";

/// @dev Six logs, of three submitters with two origins each, and whoever anchors in them: rightly, with old values that
/// do not hold, with proofs that do not, and with another one's log in mind. It keeps what each log should hold, and
/// looks behind every call: who emitted what, and which slots moved.
contract Handler {
    struct Head {
        uint64 size;
        uint64 time;
        bytes32 root;
    }

    AnchorRegistry public immutable registry;
    uint256 public constant LOGS = 6;
    uint64 private constant LARGEST = 96;
    bytes32 private constant ANCHORED = keccak256("Anchored(bytes32,uint64,bytes32,uint64)");

    Head[LOGS] private heads;

    constructor(AnchorRegistry registry_) {
        registry = registry_;
    }

    function head(uint256 log) external view returns (Head memory) {
        return heads[log];
    }

    function submitter(uint256 log) public pure returns (address) {
        return address(uint160(0xa000 + log / 2));
    }

    function origin(uint256 log) public pure returns (string memory) {
        return log % 2 == 0 ? "bench.example/source" : "bench.example/twin";
    }

    function slot(uint256 log) public view returns (bytes32) {
        return registry.commitmentOf(registry.logId(submitter(log), origin(log)));
    }

    /// @notice The log grows as it should.
    function grow(uint256 log, uint8 more, uint32 later) external {
        log %= LOGS;
        Head memory old = heads[log];
        uint64 size = old.size + 1 + more % 16;
        if (size > LARGEST) return;
        vm.warp(block.timestamp + later % 1000);
        Head memory next = Head(size, uint64(block.timestamp), Reference.root(log, 0, size));
        assert(tried(log, submitter(log), old, next, path(log, old.size, size)));
    }

    /// @notice Old values that were right once, or never.
    function growFrom(uint256 log, uint64 size, uint64 time, bytes32 root, uint8 more) external {
        log %= LOGS;
        Head memory old = Head(size % LARGEST, time, root);
        Head memory held = heads[log];
        if (old.size == held.size && old.time == held.time && old.root == held.root) return;
        if (old.size == 0) old.root = bytes32(uint256(1));
        uint64 larger = old.size + 1 + more % 4;
        Head memory next = Head(larger, uint64(block.timestamp), Reference.root(log, 0, larger));
        assert(!tried(log, submitter(log), old, next, path(log, old.size, larger)));
    }

    /// @notice A head that is not larger; of an empty log, one of no leaves.
    function shrink(uint256 log, uint64 size) external {
        log %= LOGS;
        Head memory old = heads[log];
        size %= old.size + 1;
        Head memory next = Head(size, uint64(block.timestamp), size == 0 ? bytes32(0) : Reference.root(log, 0, size));
        assert(!tried(log, submitter(log), old, next, new bytes32[](0)));
    }

    /// @notice Another history over the same number of leaves, with the proofs that belong to it.
    function rewrite(uint256 log, uint8 more) external {
        log %= LOGS;
        Head memory old = heads[log];
        uint64 size = old.size + 1 + more % 16;
        if (old.size == 0 || size > LARGEST) return;
        Head memory next = Head(size, uint64(block.timestamp), Reference.root(~log, 0, size));
        assert(!tried(log, submitter(log), old, next, path(~log, old.size, size)));
    }

    /// @notice One bit of the proof, or of the new root, is another one.
    function flip(uint256 log, uint8 more, uint256 where, uint8 bit) external {
        log %= LOGS;
        Head memory old = heads[log];
        uint64 size = old.size + 1 + more % 16;
        if (old.size == 0 || size > LARGEST) return;
        bytes32[] memory proof = path(log, old.size, size);
        Head memory next = Head(size, uint64(block.timestamp), Reference.root(log, 0, size));
        where %= proof.length + 1;
        if (where == proof.length) next.root ^= bytes32(uint256(1) << bit);
        else proof[where] ^= bytes32(uint256(1) << bit);
        assert(!tried(log, submitter(log), old, next, proof));
    }

    /// @notice Somebody else anchors under the log's origin, with the right old values: it is not his log.
    function steal(uint256 log, uint160 thief, uint8 more) external {
        log %= LOGS;
        Head memory old = heads[log];
        if (old.size == 0 || (thief >= 0xa000 && thief < 0xa000 + LOGS / 2)) return;
        uint64 size = old.size + 1 + more % 16;
        if (size > LARGEST) return;
        Head memory next = Head(size, uint64(block.timestamp), Reference.root(log, 0, size));
        assert(!tried(log, address(thief), old, next, path(log, old.size, size)));
    }

    /// @dev Call it as `sender`. Looks that an accepted call emits its one event and moves its own slot alone, and that
    /// a refused one leaves everything as it was.
    function tried(uint256 log, address sender, Head memory old, Head memory next, bytes32[] memory proof)
        private
        returns (bool done)
    {
        bytes32[LOGS] memory before = slots();
        bytes memory call = abi.encodeCall(
            AnchorRegistry.anchor, (origin(log), old.size, old.root, old.time, next.size, next.root, proof)
        );
        vm.recordLogs();
        vm.startPrank(sender);
        (done,) = address(registry).call(call);
        vm.stopPrank();
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bytes32[LOGS] memory behind = slots();
        for (uint256 i = 0; i < LOGS; ++i) {
            assert(before[i] == behind[i] || (done && i == log));
        }
        if (!done) {
            assert(logs.length == 0);
            return false;
        }
        assert(next.size > heads[log].size && sender == submitter(log));
        heads[log] = next;
        assert(logs.length == 1 && logs[0].emitter == address(registry) && logs[0].topics.length == 2);
        assert(logs[0].topics[0] == ANCHORED && logs[0].topics[1] == registry.logId(sender, origin(log)));
        // What the event says opens the slot.
        (uint64 size, bytes32 root, uint64 time) = abi.decode(logs[0].data, (uint64, bytes32, uint64));
        assert(size == next.size && root == next.root && time == block.timestamp);
        assert(behind[log] == keccak256(logs[0].data));
    }

    function slots() private view returns (bytes32[LOGS] memory found) {
        for (uint256 i = 0; i < LOGS; ++i) {
            found[i] = slot(i);
        }
    }

    function path(uint256 seed, uint64 old, uint64 size) private pure returns (bytes32[] memory) {
        return old == 0 ? new bytes32[](0) : Reference.subproof(seed, old, 0, size, true);
    }
}
