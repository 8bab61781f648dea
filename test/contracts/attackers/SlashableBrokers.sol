// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {NativeTicketBroker} from "../contracts/NativeTicketBroker.sol";
import {TokenTicketBroker} from "../contracts/TokenTicketBroker.sol";

/// The brokers with a door to the internal slash, which disputes will have.
contract SlashableNativeBroker is NativeTicketBroker {
    constructor(Terms memory terms) NativeTicketBroker(terms) {}

    function slash(address provider, uint256 amount, address beneficiary) external {
        _slash(provider, amount, beneficiary);
    }
}

contract SlashableTokenBroker is TokenTicketBroker {
    constructor(IERC20 token, Terms memory terms) TokenTicketBroker(token, terms) {}

    function slash(address provider, uint256 amount, address beneficiary) external {
        _slash(provider, amount, beneficiary);
    }
}
