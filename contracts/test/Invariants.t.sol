// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AnchorRegistry} from "../src/AnchorRegistry.sol";
import {Handler} from "./Handler.sol";

/// @dev What holds after any sequence of calls by anybody. Forge calls the handler at random, and after each call these.
contract InvariantsTest {
    Handler private handler;

    function setUp() public {
        handler = new Handler(new AnchorRegistry());
    }

    /// @dev Forge asks for this by its name: whom to call.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function invariant_everySlotOpensWithWhatWasAcceptedLast() external view {
        for (uint256 log = 0; log < handler.LOGS(); ++log) {
            Handler.Head memory head = handler.head(log);
            bytes32 expected = head.size == 0 ? bytes32(0) : keccak256(abi.encode(head.size, head.root, head.time));
            assert(handler.slot(log) == expected);
        }
    }

    /// @dev The logs of the same origin under other submitters have ids of their own.
    function invariant_noTwoLogsShareASlot() external view {
        for (uint256 log = 1; log < handler.LOGS(); ++log) {
            for (uint256 other = 0; other < log; ++other) {
                assert(handler.slot(log) == 0 || handler.slot(log) != handler.slot(other));
            }
        }
    }
}
