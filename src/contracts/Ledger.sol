// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

/// @title The money of every account, in buckets, and the ways in and out.
/// @notice Invariant: received = sum of deposits, bonds, job bonds and credits + burned + paid out.
/// Money moves between accounts only as credit, which its owner pulls. No owner, no pause, no upgrade.
abstract contract Ledger is ReentrancyGuard {
    /// What can be locked. Credit is no bucket: it is never locked.
    enum Bucket {
        /// What tickets are paid from.
        Deposit,
        /// Burned when the payer's deposit does not cover a winner.
        Bond,
        /// A provider's bond behind its agreements: refunds and slashes are taken from it.
        JobBond
    }

    struct Account {
        /// Alone in its slot, because every redemption writes it.
        uint256 deposit;
        /// Credit (low 128 bits), job bond (120 bits) and the flag SEEN, written as one: crediting a host that has a bond,
        /// or ever had a credit, costs no fresh slot. Only `_income` and `_setIncome` touch it.
        uint256 income;
        uint128 bond;
        /// Until the end of this second the payer's deposit and bond stay, while claims are open.
        uint64 heldUntil;
        uint32 openClaims;
        /// Part of the job bond that waits to be collected as refunds.
        uint128 reserved;
    }

    struct Unlock {
        uint128 amount;
        /// Withdrawable strictly after this second: a ticket that expires in it is still paid first.
        uint64 lockedUntil;
    }

    /// All that a counterparty must know of an account, in one call.
    struct Snapshot {
        uint128 deposit;
        uint128 bond;
        uint128 jobBond;
        uint128 reserved;
        uint128 credit;
        uint64 heldUntil;
        uint32 openClaims;
        /// By bucket.
        Unlock[3] unlocks;
    }

    event Added(Bucket indexed bucket, address indexed account, address indexed from, uint256 amount);
    event UnlockRequested(Bucket indexed bucket, address indexed account, uint256 amount, uint64 lockedUntil);
    event UnlockCancelled(Bucket indexed bucket, address indexed account);
    event Withdrawn(Bucket indexed bucket, address indexed account, address to, uint256 amount);
    event PaidOut(address indexed account, address to, uint256 amount);
    event Burned(address indexed account, uint256 amount);
    event Slashed(address indexed provider, address indexed beneficiary, uint256 amount, uint256 burned);

    error BadTerms();
    error ZeroAmount();
    /// A balance would outgrow its field. Only a token of absurd supply comes there; nothing is lost by it.
    error TooMuch();
    error ZeroAddress();
    /// The value sent is not the amount named, or value was sent to a broker of a token.
    error WrongValue(uint256 expected, uint256 received);
    error TransferFailed();
    error UnlockPending(uint64 lockedUntil);
    error NoUnlock();
    error Locked(uint64 until);
    error ClaimsOpen(uint64 until);
    error Insufficient(uint256 available);

    /// Longest delay that can be deployed; money that is locked for longer is as good as lost to its owner.
    uint64 public constant MAX_DELAY = 90 days;
    /// Share of a slash that is burned, in basis points: who slashes itself through a friend loses it.
    uint256 public constant SLASH_BURN_BPS = 5_000;
    uint256 internal constant BPS = 10_000;
    uint256 private constant SEEN = 1 << 255;

    /// Seconds between asking for money back and having it; also the longest life of a ticket.
    uint64 public immutable delay;
    /// Wei that no one can ever take out again.
    uint256 public burned;

    mapping(address account => Account) internal _accounts;
    mapping(address account => mapping(Bucket => Unlock)) internal _unlocks;

    constructor(uint64 delay_) {
        if (delay_ == 0 || delay_ > MAX_DELAY) revert BadTerms();
        delay = delay_;
    }

    /// Adds to a payer's deposit, from anyone. Never touches a pending unlock.
    function fund(address payer, uint128 amount) external payable {
        _add(Bucket.Deposit, payer, amount);
    }

    /// Adds to a payer's bond, from anyone.
    function addBond(address payer, uint128 amount) external payable {
        _add(Bucket.Bond, payer, amount);
    }

    /// Adds to a provider's job bond, from anyone.
    function addJobBond(address provider, uint128 amount) external payable {
        _add(Bucket.JobBond, provider, amount);
    }

    /// Announces a withdrawal. One a bucket: cancel it to ask for another amount.
    function requestUnlock(Bucket bucket, uint128 amount) external {
        if (amount == 0) revert ZeroAmount();
        Unlock storage unlock = _unlocks[msg.sender][bucket];
        if (unlock.amount != 0) revert UnlockPending(unlock.lockedUntil);
        uint256 free = _free(bucket, msg.sender);
        if (amount > free) revert Insufficient(free);
        uint64 lockedUntil = uint64(block.timestamp) + delay;
        _unlocks[msg.sender][bucket] = Unlock(amount, lockedUntil);
        emit UnlockRequested(bucket, msg.sender, amount, lockedUntil);
    }

    function cancelUnlock(Bucket bucket) external {
        if (_unlocks[msg.sender][bucket].amount == 0) revert NoUnlock();
        delete _unlocks[msg.sender][bucket];
        emit UnlockCancelled(bucket, msg.sender);
    }

    /// Pays an announced withdrawal, or what is left of it, to `to`.
    function withdraw(Bucket bucket, address to) external nonReentrant {
        if (to == address(0)) revert ZeroAddress();
        Unlock memory unlock = _unlocks[msg.sender][bucket];
        if (unlock.amount == 0) revert NoUnlock();
        if (block.timestamp <= unlock.lockedUntil) revert Locked(unlock.lockedUntil);
        if (bucket != Bucket.JobBond) _requireNoClaims(msg.sender);
        uint256 free = _free(bucket, msg.sender);
        if (free == 0) revert Insufficient(0);
        uint256 amount = free < unlock.amount ? free : unlock.amount;
        delete _unlocks[msg.sender][bucket];
        _take(bucket, msg.sender, amount);
        emit Withdrawn(bucket, msg.sender, to, amount);
        _send(to, amount);
    }

    /// Sends the caller's whole credit to `to`.
    function payout(address to) external nonReentrant returns (uint256) {
        if (to == address(0)) revert ZeroAddress();
        return _payOut(msg.sender, to);
    }

    /// Sends an account's whole credit to that account. Anyone may: a payee whose key is cold sends no transactions.
    function payoutFor(address account) external nonReentrant returns (uint256) {
        return _payOut(account, account);
    }

    function snapshot(address account) external view returns (Snapshot memory) {
        Account storage a = _accounts[account];
        mapping(Bucket => Unlock) storage u = _unlocks[account];
        (uint256 credit, uint256 jobBond) = _income(account);
        return Snapshot(
            uint128(a.deposit), a.bond, uint128(jobBond), a.reserved, uint128(credit), a.heldUntil, a.openClaims,
            [u[Bucket.Deposit], u[Bucket.Bond], u[Bucket.JobBond]]
        );
    }

    /// Zero address: the native coin.
    function asset() public view virtual returns (address);

    /// Brings exactly `amount` from the caller into this contract, or reverts.
    function _receive(uint256 amount) internal virtual;

    /// Sends `amount` out of this contract, or reverts. The only call to foreign code besides `_receive`.
    function _send(address to, uint256 amount) internal virtual;

    /// The balance is lowered before the money leaves.
    function _payOut(address account, address to) private returns (uint256 amount) {
        uint256 jobBond;
        (amount, jobBond) = _income(account);
        if (amount == 0) revert ZeroAmount();
        _setIncome(account, 0, jobBond);
        emit PaidOut(account, to, amount);
        _send(to, amount);
    }

    function _add(Bucket bucket, address account, uint128 amount) private nonReentrant {
        if (amount == 0) revert ZeroAmount();
        if (account == address(0)) revert ZeroAddress();
        _receive(amount);
        Account storage a = _accounts[account];
        if (bucket == Bucket.Deposit) {
            uint256 deposit = a.deposit + amount;
            if (deposit > type(uint128).max) revert TooMuch();
            a.deposit = deposit;
        } else if (bucket == Bucket.Bond) {
            uint256 bond = uint256(a.bond) + amount;
            if (bond > type(uint128).max) revert TooMuch();
            a.bond = uint128(bond);
        } else {
            (uint256 credit, uint256 jobBond) = _income(account);
            _setIncome(account, credit, jobBond + amount);
        }
        emit Added(bucket, account, msg.sender, amount);
    }

    /// What of a bucket could be withdrawn: all, but what is reserved for refunds.
    function _free(Bucket bucket, address account) internal view returns (uint256) {
        Account storage a = _accounts[account];
        if (bucket == Bucket.Deposit) return a.deposit;
        if (bucket == Bucket.Bond) return a.bond;
        (, uint256 jobBond) = _income(account);
        return jobBond > a.reserved ? jobBond - a.reserved : 0;
    }

    function _take(Bucket bucket, address account, uint256 amount) private {
        Account storage a = _accounts[account];
        if (bucket == Bucket.Deposit) {
            a.deposit -= amount;
        } else if (bucket == Bucket.Bond) {
            a.bond -= uint128(amount);
        } else {
            (uint256 credit, uint256 jobBond) = _income(account);
            _setIncome(account, credit, jobBond - amount);
        }
    }

    function _requireNoClaims(address payer) private view {
        Account storage a = _accounts[payer];
        if (a.openClaims != 0 && block.timestamp <= a.heldUntil) revert ClaimsOpen(a.heldUntil);
    }

    function _credit(address account, uint256 amount) internal {
        (uint256 credit, uint256 jobBond) = _income(account);
        _setIncome(account, credit + amount, jobBond);
    }

    function _income(address account) internal view returns (uint256 credit, uint256 jobBond) {
        uint256 word = _accounts[account].income;
        return (uint128(word), uint120(word >> 128));
    }

    function _setIncome(address account, uint256 credit, uint256 jobBond) internal {
        if (credit > type(uint128).max || jobBond > type(uint120).max) revert TooMuch();
        _accounts[account].income = SEEN | jobBond << 128 | credit;
    }

    function _burn(address account, uint256 amount) internal {
        if (amount == 0) return;
        burned += amount;
        emit Burned(account, amount);
    }

    /// Takes up to `amount` of a provider's job bond, reserved refunds included: burns a share, credits the rest.
    /// For disputes. Whoever calls it must have taken `beneficiary` from the evidence, never from the caller.
    function _slash(address provider, uint256 amount, address beneficiary) internal {
        (uint256 credit, uint256 jobBond) = _income(provider);
        uint256 taken = amount < jobBond ? amount : jobBond;
        if (taken == 0) revert Insufficient(0);
        // Rounded up: of a slash of one wei nothing comes back.
        uint256 share = (taken * SLASH_BURN_BPS + BPS - 1) / BPS;
        _setIncome(provider, credit, jobBond - taken);
        _burn(provider, share);
        if (taken != share) _credit(beneficiary, taken - share);
        emit Slashed(provider, beneficiary, taken, share);
    }
}
