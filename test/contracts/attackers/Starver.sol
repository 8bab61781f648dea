// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {TicketBroker} from "../contracts/TicketBroker.sol";

/// Tries one call with many amounts of gas, each from the same state, and looks whether a ticket was used up unpaid.
contract Starver {
    error Probed(bool ok, uint256 used, uint256 paid);

    /// How many probes went through, and how many of them used up more tickets than were paid at `faceValue`.
    function sweep(TicketBroker broker, bytes calldata data, bytes32[] calldata digests, address payee, uint256 faceValue, uint256 from, uint256 to, uint256 step)
        external
        returns (uint256 probes, uint256 through, uint256 burned)
    {
        for (uint256 amount = from; amount <= to; amount += step) {
            try this.probe(broker, data, digests, payee, amount) {}
            catch (bytes memory result) {
                (bool ok, uint256 used, uint256 paid) = this.decode(result);
                probes++;
                if (ok) through++;
                if (used * faceValue != paid) burned++;
            }
        }
    }

    /// Reverts always, with what it saw.
    function probe(TicketBroker broker, bytes calldata data, bytes32[] calldata digests, address payee, uint256 amount) external {
        uint256 before = broker.snapshot(payee).credit + payee.balance;
        (bool ok,) = address(broker).call{gas: amount}(data);
        uint256 used;
        for (uint256 i = 0; i < digests.length; i++) {
            (bool isUsed,) = broker.ticketState(digests[i]);
            if (isUsed) used++;
        }
        revert Probed(ok, used, broker.snapshot(payee).credit + payee.balance - before);
    }

    function decode(bytes calldata result) external pure returns (bool, uint256, uint256) {
        return abi.decode(result[4:], (bool, uint256, uint256));
    }
}
