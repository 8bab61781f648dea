// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// Stands at the address of a test account and does what it is told, so that one transaction drives many accounts.
contract Actor {
    receive() external payable {}

    function act(address target, uint256 value, bytes calldata data) external returns (bool ok, bytes memory result) {
        (ok, result) = target.call{value: value}(data);
    }
}
