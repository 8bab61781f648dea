// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Actor} from "./Actor.sol";

interface IBroker {
    function snapshot(address account) external view returns (bytes memory);
    function burned() external view returns (uint256);
    function asset() external view returns (address);
}

interface IBalance {
    function balanceOf(address account) external view returns (uint256);
}

/// Runs a list of calls of many accounts, and after each tells how it ended and the hash of all state.
contract Driver {
    struct Step {
        address actor;
        uint256 value;
        bytes data;
    }

    event Stepped(bool ok, bytes result, bytes32 state);

    function run(address broker, address[] calldata accounts, Step[] calldata steps) external {
        for (uint256 i = 0; i < steps.length; i++) {
            (bool ok, bytes memory result) = Actor(payable(steps[i].actor)).act(broker, steps[i].value, steps[i].data);
            emit Stepped(ok, result, keccak256(state(broker, accounts)));
        }
    }

    /// What the contract holds, what was burned, and the snapshot of each account, one word after the other.
    function state(address broker, address[] calldata accounts) public view returns (bytes memory all) {
        address asset = IBroker(broker).asset();
        uint256 held = asset == address(0) ? broker.balance : IBalance(asset).balanceOf(broker);
        all = abi.encode(held, IBroker(broker).burned());
        for (uint256 i = 0; i < accounts.length; i++) {
            (, bytes memory words) = broker.staticcall(abi.encodeCall(IBroker.snapshot, (accounts[i])));
            all = bytes.concat(all, words);
        }
    }
}
