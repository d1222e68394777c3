// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @dev The few of forge's cheat codes that these tests use.
interface Vm {
    function assume(bool condition) external pure;
    function expectRevert(bytes calldata revertData) external;
    function expectEmit(bool topic1, bool topic2, bool topic3, bool data) external;
    function load(address account, bytes32 slot) external view returns (bytes32);
    function parseJson(string calldata json, string calldata key) external pure returns (bytes memory abiEncoded);
    function readFile(string calldata path) external view returns (string memory);
    function startPrank(address sender) external;
    function stopPrank() external;
    function warp(uint256 timestamp) external;
}

Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
