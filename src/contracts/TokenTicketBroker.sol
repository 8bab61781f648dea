// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {TicketBroker} from "./TicketBroker.sol";

/// @title The ticket broker for one ERC-20.
/// @notice A token that takes a fee on transfers is refused when it comes in. One whose balances shrink by themselves must
/// not be used: the contract would owe more than it holds.
contract TokenTicketBroker is TicketBroker {
    using SafeERC20 for IERC20;

    IERC20 private immutable _token;

    constructor(IERC20 token, Terms memory terms) TicketBroker(terms) {
        if (address(token).code.length == 0) revert BadTerms();
        _token = token;
    }

    function asset() public view override returns (address) {
        return address(_token);
    }

    function _receive(uint256 amount) internal override {
        if (msg.value != 0) revert WrongValue(0, msg.value);
        uint256 before = _token.balanceOf(address(this));
        _token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = _token.balanceOf(address(this)) - before;
        if (received != amount) revert WrongValue(amount, received);
    }

    function _send(address to, uint256 amount) internal override {
        _token.safeTransfer(to, amount);
    }
}
