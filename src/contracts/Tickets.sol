// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ledger} from "./Ledger.sol";
import {Signers} from "./Signers.sol";

/// @title Lottery tickets: redemption, and what happens when a deposit does not cover a winner.
/// @notice A ticket is known by its EIP-712 digest, which the signature is no part of, and pays at most once.
/// Redeeming calls no foreign code: the payee is credited, so no payee can make a batch fail.
abstract contract Tickets is Ledger, Signers {
    struct Ticket {
        address payer;
        address payee;
        uint128 faceValue;
        uint64 winProb;
        uint64 expiry;
        bytes32 commit;
        bytes32 salt;
        bytes32 context;
    }

    struct Winner {
        Ticket ticket;
        bytes32 rand;
        bytes signature;
    }

    enum Refusal {
        None,
        WrongRand,
        Used,
        Lost,
        Expired,
        TooFarAhead,
        WrongSignature,
        Underfunded
    }

    event TicketRedeemed(bytes32 indexed digest, address indexed payer, address indexed payee, uint256 faceValue);
    event TicketSkipped(bytes32 indexed digest, Refusal reason);
    /// `rand` is told, so that the payer, who has the ticket, can top up and redeem it within the grace.
    event DefaultNoticed(bytes32 indexed digest, address indexed payer, address indexed payee, bytes32 rand, uint64 graceUntil);
    event DefaultClaimed(bytes32 indexed digest, address indexed payer, address indexed payee, uint256 paid, uint256 bondBurned);

    error TicketRefused(bytes32 digest, Refusal reason);
    error NotPayee();
    /// The deposit covers the ticket: redeem it.
    error Covered();
    error AlreadyNoticed();
    error NoNotice();
    error GraceRuns(uint64 until);
    error ClaimLapsed(uint64 since);

    bytes32 public constant TICKET_TYPEHASH = keccak256(
        "Ticket(address payer,address payee,uint128 faceValue,uint64 winProb,uint64 expiry,bytes32 commit,bytes32 salt,bytes32 context)"
    );
    /// Hard cap of the protocol fee, 5 %.
    uint16 public constant MAX_FEE_BPS = 500;

    /// Seconds in which a payer may top up before its bond burns.
    uint64 public immutable grace;
    /// The fee is fixed at deployment and off by default: no one can change it under tickets already signed.
    uint16 public immutable feeBps;
    address public immutable feeRecipient;

    uint256 private constant UNKNOWN = 0;
    uint256 private constant USED = type(uint256).max;
    /// UNKNOWN, USED, or the last second of the grace of an open notice.
    mapping(bytes32 digest => uint256) private _states;

    constructor(uint64 grace_, uint16 feeBps_, address feeRecipient_) {
        if (grace_ == 0 || grace_ > delay || feeBps_ > MAX_FEE_BPS || (feeBps_ == 0) != (feeRecipient_ == address(0))) {
            revert BadTerms();
        }
        grace = grace_;
        feeBps = feeBps_;
        feeRecipient = feeRecipient_;
    }

    /// Pays a winner's whole face value into its payee's credit, or reverts. Anyone may call.
    function redeem(Ticket calldata ticket, bytes32 rand, bytes calldata signature) external {
        (bytes32 digest, uint256 state, Refusal reason) = _judge(ticket, rand, signature);
        if (reason != Refusal.None) revert TicketRefused(digest, reason);
        _settle(ticket, digest, state);
    }

    /// Redeems those that can be; the others are skipped, told by an event, and stay as they were.
    /// No part runs as a call of its own, so too little gas undoes the whole batch.
    function redeemBatch(Winner[] calldata winners) external returns (uint256 redeemed) {
        for (uint256 i = 0; i < winners.length; i++) {
            Winner calldata winner = winners[i];
            (bytes32 digest, uint256 state, Refusal reason) = _judge(winner.ticket, winner.rand, winner.signature);
            if (reason != Refusal.None) {
                emit TicketSkipped(digest, reason);
                continue;
            }
            _settle(winner.ticket, digest, state);
            redeemed++;
        }
    }

    /// First step of a claim, by the payee of a winner that the deposit does not cover. Starts the grace, holds the
    /// payer's deposit and bond, and keeps the ticket redeemable by anyone until the claim lapses, past its expiry too.
    function noticeDefault(Ticket calldata ticket, bytes32 rand, bytes calldata signature) external {
        if (msg.sender != ticket.payee) revert NotPayee();
        (bytes32 digest, uint256 state, Refusal reason) = _judge(ticket, rand, signature);
        if (reason == Refusal.None) revert Covered();
        if (reason != Refusal.Underfunded) revert TicketRefused(digest, reason);
        if (state != UNKNOWN) revert AlreadyNoticed();
        uint64 graceUntil = uint64(block.timestamp) + grace;
        _states[digest] = graceUntil;
        Account storage payer = _accounts[ticket.payer];
        // What is still counted after the hold has passed are claims that lapsed.
        payer.openClaims = block.timestamp > payer.heldUntil ? 1 : payer.openClaims + 1;
        // The latest notice lapses last.
        payer.heldUntil = graceUntil + delay;
        emit DefaultNoticed(digest, ticket.payer, msg.sender, rand, graceUntil);
    }

    /// Second step, after the grace and within `delay` of its end: takes the face value if the payer topped up, or else
    /// what is left, and then burns the payer's whole bond. The ticket is used up either way.
    function claimDefault(Ticket calldata ticket) external {
        if (msg.sender != ticket.payee) revert NotPayee();
        bytes32 digest = hashTicket(ticket);
        uint256 state = _states[digest];
        if (state == USED) revert TicketRefused(digest, Refusal.Used);
        if (state == UNKNOWN) revert NoNotice();
        if (block.timestamp <= state) revert GraceRuns(uint64(state));
        if (block.timestamp > state + delay) revert ClaimLapsed(uint64(state) + delay);
        Account storage payer = _accounts[ticket.payer];
        if (payer.deposit >= ticket.faceValue) {
            _settle(ticket, digest, state);
            return;
        }
        _use(digest, ticket.payer, state);
        (uint256 left, uint256 bond) = (payer.deposit, payer.bond);
        payer.deposit = 0;
        payer.bond = 0;
        _burn(ticket.payer, bond);
        _share(ticket.payee, left);
        emit DefaultClaimed(digest, ticket.payer, msg.sender, left, bond);
    }

    /// What `redeem` would say now.
    function check(Ticket calldata ticket, bytes32 rand, bytes calldata signature)
        external
        view
        returns (bytes32 digest, Refusal reason)
    {
        (digest,, reason) = _judge(ticket, rand, signature);
    }

    /// Whether a ticket was paid or claimed, and the end of its grace (seconds) while a notice stands.
    function ticketState(bytes32 digest) external view returns (bool used, uint64 graceUntil) {
        uint256 state = _states[digest];
        return state == USED ? (true, 0) : (false, uint64(state));
    }

    function hashTicket(Ticket calldata ticket) public view returns (bytes32) {
        return _digest(keccak256(abi.encode(TICKET_TYPEHASH, ticket)));
    }

    /// p = (winProb + 1) / 2^64.
    function wins(bytes32 digest, bytes32 rand, uint64 winProb) public pure returns (bool) {
        return uint256(keccak256(abi.encode(rand, digest))) >> 192 <= winProb;
    }

    function _judge(Ticket calldata ticket, bytes32 rand, bytes calldata signature)
        private
        view
        returns (bytes32 digest, uint256 state, Refusal reason)
    {
        digest = hashTicket(ticket);
        state = _states[digest];
        reason = _refusal(ticket, rand, signature, digest, state);
    }

    /// Cheap rules first; the deposit last, so that Underfunded says that all else is right.
    function _refusal(Ticket calldata ticket, bytes32 rand, bytes calldata signature, bytes32 digest, uint256 state)
        private
        view
        returns (Refusal)
    {
        if (keccak256(abi.encode(rand)) != ticket.commit) return Refusal.WrongRand;
        if (state == USED) return Refusal.Used;
        if (!wins(digest, rand, ticket.winProb)) return Refusal.Lost;
        if (block.timestamp > ticket.expiry && (state == UNKNOWN || block.timestamp > state + delay)) return Refusal.Expired;
        if (ticket.expiry > block.timestamp + delay) return Refusal.TooFarAhead;
        if (!_isSignedBy(ticket.payer, digest, signature)) return Refusal.WrongSignature;
        if (_accounts[ticket.payer].deposit < ticket.faceValue) return Refusal.Underfunded;
        return Refusal.None;
    }

    function _settle(Ticket calldata ticket, bytes32 digest, uint256 state) private {
        _use(digest, ticket.payer, state);
        _accounts[ticket.payer].deposit -= ticket.faceValue;
        _share(ticket.payee, ticket.faceValue);
        emit TicketRedeemed(digest, ticket.payer, ticket.payee, ticket.faceValue);
    }

    function _use(bytes32 digest, address payer, uint256 state) private {
        _states[digest] = USED;
        // A notice that can still be settled has not lapsed, so it is counted.
        if (state != UNKNOWN) _accounts[payer].openClaims -= 1;
    }

    function _share(address payee, uint256 amount) private {
        uint256 fee = amount * feeBps / BPS;
        if (fee != 0) _credit(feeRecipient, fee);
        _credit(payee, amount - fee);
    }
}
