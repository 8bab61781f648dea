// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ledger} from "./Ledger.sol";
import {Signers} from "./Signers.sol";

/// @title Refunds that a provider signs when it failed, taken from its job bond.
/// @notice A refund waits as long as an unlock does, and can be slashed while it waits: else a provider that is about to
/// be slashed would refund its bond to a friend. It never exceeds what the provider acknowledged to have been paid.
abstract contract Refunds is Ledger, Signers {
    struct Refund {
        bytes32 agreement;
        address provider;
        address requester;
        /// In all, for this agreement.
        uint128 amount;
        uint64 expiry;
    }

    /// The cumulative state that a provider signs on close and on reconnect.
    struct Statement {
        bytes32 agreement;
        address provider;
        address requester;
        uint64 sequence;
        /// Expected value of the tickets that it was paid, in wei, rounded down.
        uint128 paid;
    }

    struct Claim {
        /// Ever reserved for this agreement.
        uint128 reserved;
        uint128 waiting;
        uint64 lockedUntil;
    }

    event RefundReserved(bytes32 indexed agreement, address indexed provider, address indexed requester, uint256 amount, uint64 lockedUntil);
    event RefundCollected(bytes32 indexed agreement, address indexed provider, address indexed requester, uint256 amount);

    error NotRequester();
    error RefundExpired();
    error StatementMismatch();
    error AboveAcknowledged(uint256 paid);
    error WrongRefundSignature();
    error WrongStatementSignature();
    error NothingDue();

    bytes32 public constant REFUND_TYPEHASH =
        keccak256("Refund(bytes32 agreement,address provider,address requester,uint128 amount,uint64 expiry)");
    bytes32 public constant STATEMENT_TYPEHASH =
        keccak256("Statement(bytes32 agreement,address provider,address requester,uint64 sequence,uint128 paid)");

    mapping(bytes32 key => Claim) private _claims;

    /// Reserves a refund, or what of it the free bond covers now; the rest can be claimed again while it lasts.
    /// By the requester only: the provider cannot use up an agreement with a refund of one wei.
    function claimRefund(
        Refund calldata refund,
        bytes calldata refundSignature,
        Statement calldata statement,
        bytes calldata statementSignature
    ) external returns (uint256 amount) {
        _requireValid(refund, refundSignature, statement, statementSignature);
        Claim storage claim = _claims[_key(refund.agreement, refund.provider, refund.requester)];
        if (refund.amount <= claim.reserved) revert NothingDue();
        uint256 due = refund.amount - claim.reserved;
        uint256 free = _free(Bucket.JobBond, refund.provider);
        amount = due < free ? due : free;
        if (amount == 0) revert Insufficient(0);
        uint64 lockedUntil = uint64(block.timestamp) + delay;
        claim.reserved += uint128(amount);
        claim.waiting += uint128(amount);
        claim.lockedUntil = lockedUntil;
        _accounts[refund.provider].reserved += uint128(amount);
        emit RefundReserved(refund.agreement, refund.provider, refund.requester, amount, lockedUntil);
    }

    /// Moves a refund that has waited, or what slashes left of it, to the requester's credit. Anyone may call.
    function collectRefund(bytes32 agreement, address provider, address requester) external returns (uint256 amount) {
        Claim storage claim = _claims[_key(agreement, provider, requester)];
        uint256 waiting = claim.waiting;
        if (waiting == 0) revert NothingDue();
        if (block.timestamp <= claim.lockedUntil) revert Locked(claim.lockedUntil);
        (uint256 credit, uint256 jobBond) = _income(provider);
        amount = waiting < jobBond ? waiting : jobBond;
        claim.waiting = 0;
        _accounts[provider].reserved -= uint128(waiting);
        _setIncome(provider, credit, jobBond - amount);
        _credit(requester, amount);
        emit RefundCollected(agreement, provider, requester, amount);
    }

    /// Reserved ever, still waiting (wei), and the second after which it can be collected.
    function refundClaim(bytes32 agreement, address provider, address requester) external view returns (Claim memory) {
        return _claims[_key(agreement, provider, requester)];
    }

    function hashRefund(Refund calldata refund) public view returns (bytes32) {
        return _digest(keccak256(abi.encode(REFUND_TYPEHASH, refund)));
    }

    function hashStatement(Statement calldata statement) public view returns (bytes32) {
        return _digest(keccak256(abi.encode(STATEMENT_TYPEHASH, statement)));
    }

    function _requireValid(
        Refund calldata refund,
        bytes calldata refundSignature,
        Statement calldata statement,
        bytes calldata statementSignature
    ) private view {
        if (msg.sender != refund.requester) revert NotRequester();
        if (block.timestamp > refund.expiry) revert RefundExpired();
        if (
            statement.agreement != refund.agreement || statement.provider != refund.provider
                || statement.requester != refund.requester
        ) revert StatementMismatch();
        if (refund.amount > statement.paid) revert AboveAcknowledged(statement.paid);
        if (!_isSignedBy(refund.provider, hashRefund(refund), refundSignature)) revert WrongRefundSignature();
        if (!_isSignedBy(refund.provider, hashStatement(statement), statementSignature)) revert WrongStatementSignature();
    }

    function _key(bytes32 agreement, address provider, address requester) private pure returns (bytes32) {
        return keccak256(abi.encode(agreement, provider, requester));
    }
}
