// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TicketBroker} from "./TicketBroker.sol";

/// @title The ticket broker for the chain's own coin.
contract NativeTicketBroker is TicketBroker {
    constructor(Terms memory terms) TicketBroker(terms) {}

    function asset() public pure override returns (address) {
        return address(0);
    }

    function _receive(uint256 amount) internal override {
        if (msg.value != amount) revert WrongValue(amount, msg.value);
    }

    function _send(address to, uint256 amount) internal override {
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert TransferFailed();
    }
}
