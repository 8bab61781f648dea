// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

interface IBrokerMoney {
    function payout(address to) external returns (uint256);
    function withdraw(uint8 bucket, address to) external;
    function requestUnlock(uint8 bucket, uint128 amount) external;
}

/// The attack that drained the DAO: calls again from inside the payment, while its balance may still be standing.
contract ReentrantPayee {
    IBrokerMoney private immutable _broker;
    bytes private _again;
    uint256 private _left;
    /// How the last nested call ended.
    bytes public lastError;

    constructor(IBrokerMoney broker) {
        _broker = broker;
    }

    receive() external payable {
        if (_left == 0) return;
        _left--;
        (bool ok, bytes memory result) = address(_broker).call(_again);
        lastError = ok ? bytes("") : result;
    }

    function call(bytes calldata data) external {
        _call(data);
    }

    /// Calls `data`, and `again` up to `times` more from inside.
    function attack(bytes calldata data, bytes calldata again, uint256 times) external {
        _again = again;
        _left = times;
        _call(data);
    }

    function _call(bytes calldata data) private {
        (bool ok, bytes memory result) = address(_broker).call(data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(result, 0x20), mload(result))
            }
        }
    }
}

/// Takes no coins, ever.
contract RevertingPayee {
    error NoCoins();

    receive() external payable {
        revert NoCoins();
    }

    function payout(IBrokerMoney broker, address to) external {
        broker.payout(to);
    }
}

/// Burns all gas it is given.
contract GuzzlingPayee {
    receive() external payable {
        while (true) {}
    }
}

/// An honest contract that keeps books of its own, so that paying it takes gas.
contract CostlyPayee {
    mapping(uint256 => uint256) private _book;
    uint256 private _next;

    receive() external payable {
        for (uint256 i = 0; i < 10; i++) _book[_next++] = msg.value;
    }
}
