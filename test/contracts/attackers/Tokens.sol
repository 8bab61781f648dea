// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

contract PlainToken is ERC20 {
    constructor() ERC20("Plain", "PLN") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// Keeps one hundredth of what is moved.
contract FeeToken is ERC20 {
    constructor() ERC20("Fee", "FEE") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (from != address(0) && to != address(0)) super._update(to, address(0xfee), amount / 100);
    }
}

/// Calls both sides of a transfer, as ERC-777 does.
contract CallbackToken is ERC20 {
    constructor() ERC20("Callback", "CBK") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 amount) internal override {
        _hook(from);
        super._update(from, to, amount);
        _hook(to);
    }

    function _hook(address account) private {
        if (account.code.length == 0) return;
        (bool ok,) = account.call(abi.encodeWithSignature("tokenMoved()"));
        ok;
    }
}

/// Calls the broker again from the hook of a CallbackToken.
contract CallbackHolder {
    address public target;
    bytes private _again;
    bool public nested;
    bytes public lastError;

    function tokenMoved() external {
        if (_again.length == 0) return;
        bytes memory data = _again;
        delete _again;
        (bool ok, bytes memory result) = target.call(data);
        nested = ok;
        lastError = result;
    }

    function attack(address broker, bytes calldata data, bytes calldata again) external {
        target = broker;
        _again = again;
        (bool ok,) = broker.call(data);
        ok;
    }

    function approve(ERC20 token, address spender) external {
        token.approve(spender, type(uint256).max);
    }
}

/// Moves money and returns nothing, like the oldest tokens.
contract SilentToken {
    mapping(address => uint256) public balanceOf;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// Says false in place of a revert.
contract RefusingToken {
    function balanceOf(address) external pure returns (uint256) {
        return 0;
    }

    function transferFrom(address, address, uint256) external pure returns (bool) {
        return false;
    }
}
