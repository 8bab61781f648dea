// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ledger} from "./Ledger.sol";
import {Refunds} from "./Refunds.sol";
import {Signers} from "./Signers.sol";
import {Tickets} from "./Tickets.sol";

/// @title All of the broker but the asset it holds.
abstract contract TicketBroker is Tickets, Refunds {
    /// Fixed for the life of a deployment. Times are seconds.
    struct Terms {
        uint64 delay;
        uint64 grace;
        uint16 feeBps;
        address feeRecipient;
    }

    constructor(Terms memory terms)
        Ledger(terms.delay)
        Signers(terms.delay)
        Tickets(terms.grace, terms.feeBps, terms.feeRecipient)
    {}
}
