// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
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

    /// A ticket whose commit is opened: `rand` stands where `commit` stood, which it must hash to, and the signature
    /// follows, in three words because that is cheaper to read than 65 bytes.
    struct Winner {
        address payer;
        address payee;
        uint128 faceValue;
        uint64 winProb;
        uint64 expiry;
        bytes32 rand;
        bytes32 salt;
        bytes32 context;
        bytes32 r;
        bytes32 s;
        uint8 v;
    }

    enum Refusal {
        None,
        Used,
        Lost,
        Expired,
        TooFarAhead,
        /// Or a field, or the secret, is not what was signed.
        WrongSignature,
        Underfunded
    }

    event TicketRedeemed(address indexed payer, address indexed payee, bytes32 digest, uint256 faceValue);
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
    function redeem(Winner calldata winner) external {
        (bytes32 digest, Refusal reason, uint256 state, uint256 deposit) = _judge(winner);
        if (reason != Refusal.None) revert TicketRefused(digest, reason);
        uint256 faceValue = _draw(winner, winner.payee, digest, state, deposit);
        uint256 fee = _fee(faceValue);
        _payIn(winner.payee, faceValue - fee, fee);
    }

    /// Redeems those that can be; the others are skipped, told by an event, and stay as they were.
    /// No part runs as a call of its own, so too little gas undoes the whole batch.
    function redeemBatch(Winner[] calldata winners) external returns (uint256 redeemed) {
        // Credits of neighbours in the batch are written once. No foreign code runs in between.
        address payee;
        uint256 credit;
        uint256 fees;
        for (uint256 i = 0; i < winners.length; i++) {
            Winner calldata winner = winners[i];
            (bytes32 digest, Refusal reason, uint256 state, uint256 deposit) = _judge(winner);
            if (reason != Refusal.None) {
                emit TicketSkipped(digest, reason);
                continue;
            }
            address to = winner.payee;
            if (to != payee) {
                _payIn(payee, credit, 0);
                (payee, credit) = (to, 0);
            }
            uint256 faceValue = _draw(winner, to, digest, state, deposit);
            uint256 fee = _fee(faceValue);
            unchecked {
                // Sums of what deposits really held, and a count of calldata.
                fees += fee;
                credit += faceValue - fee;
                redeemed++;
            }
        }
        _payIn(payee, credit, fees);
    }

    /// First step of a claim, by the payee (or a key of its) of a winner that the deposit does not cover. Starts the grace, holds the
    /// payer's deposit and bond, and keeps the ticket redeemable by anyone until the claim lapses, past its expiry too.
    function noticeDefault(Winner calldata winner) external {
        if (!_speaksFor(winner.payee, msg.sender)) revert NotPayee();
        (bytes32 digest, Refusal reason, uint256 state,) = _judge(winner);
        if (reason == Refusal.None) revert Covered();
        if (reason != Refusal.Underfunded) revert TicketRefused(digest, reason);
        if (state != UNKNOWN) revert AlreadyNoticed();
        uint64 graceUntil = uint64(block.timestamp) + grace;
        _states[digest] = graceUntil;
        Account storage payer = _accounts[winner.payer];
        // What is still counted after the hold has passed are claims that lapsed.
        payer.openClaims = block.timestamp > payer.heldUntil ? 1 : payer.openClaims + 1;
        // The latest notice lapses last.
        payer.heldUntil = graceUntil + delay;
        emit DefaultNoticed(digest, winner.payer, winner.payee, winner.rand, graceUntil);
    }

    /// Second step, after the grace and within `delay` of its end: takes the face value if the payer topped up, or else
    /// what is left, and then burns the payer's whole bond. The ticket is used up either way. Only the payee gains by it.
    function claimDefault(Ticket calldata ticket) external {
        if (!_speaksFor(ticket.payee, msg.sender)) revert NotPayee();
        bytes32 digest = hashTicket(ticket);
        uint256 graceUntil = _states[digest];
        if (graceUntil == USED) revert TicketRefused(digest, Refusal.Used);
        if (graceUntil == UNKNOWN) revert NoNotice();
        if (block.timestamp <= graceUntil) revert GraceRuns(uint64(graceUntil));
        if (block.timestamp > graceUntil + delay) revert ClaimLapsed(uint64(graceUntil) + delay);
        _use(digest, graceUntil, ticket.payer);
        Account storage payer = _accounts[ticket.payer];
        (uint256 paid, uint256 bondBurned) = (ticket.faceValue, 0);
        if (payer.deposit < paid) {
            (paid, bondBurned) = (payer.deposit, payer.bond);
            payer.bond = 0;
            _burn(ticket.payer, bondBurned);
        }
        payer.deposit -= paid;
        uint256 fee = _fee(paid);
        _payIn(ticket.payee, paid - fee, fee);
        emit DefaultClaimed(digest, ticket.payer, ticket.payee, paid, bondBurned);
    }

    /// What `redeem` would say now.
    function check(Winner calldata winner) external view returns (bytes32 digest, Refusal reason) {
        (digest, reason,,) = _judge(winner);
    }

    /// Whether a ticket was paid or claimed, and the end of its grace (seconds) while a notice stands.
    function ticketState(bytes32 digest) external view returns (bool used, uint64 graceUntil) {
        uint256 state = _states[digest];
        return state == USED ? (true, 0) : (false, uint64(state));
    }

    /// The EIP-712 digest of a ticket.
    function hashTicket(Ticket calldata ticket) public view returns (bytes32) {
        return _digest(keccak256(abi.encode(TICKET_TYPEHASH, ticket)));
    }

    /// p = (winProb + 1) / 2^64.
    function wins(bytes32 digest, bytes32 rand, uint64 winProb) public pure returns (bool) {
        return uint256(Hashes.efficientKeccak256(rand, digest)) >> 192 <= winProb;
    }

    /// Cheap rules first; the deposit last, so that Underfunded says that all else is right.
    function _judge(Winner calldata winner)
        private
        view
        returns (bytes32 digest, Refusal reason, uint256 state, uint256 deposit)
    {
        digest = _hashWinner(winner);
        state = _states[digest];
        address payer = winner.payer;
        deposit = _accounts[payer].deposit;
        reason = _refusal(winner, digest, state, payer);
        if (reason == Refusal.None && deposit < winner.faceValue) reason = Refusal.Underfunded;
    }

    /// What is wrong with a ticket, its payer's deposit apart.
    function _refusal(Winner calldata winner, bytes32 digest, uint256 state, address payer) private view returns (Refusal) {
        if (state == USED) return Refusal.Used;
        if (!wins(digest, winner.rand, winner.winProb)) return Refusal.Lost;
        uint256 expiry = winner.expiry;
        unchecked {
            // Seconds: none of these sums comes near 2^65.
            if (block.timestamp > expiry && (state == UNKNOWN || block.timestamp > state + delay)) return Refusal.Expired;
            if (expiry > block.timestamp + delay) return Refusal.TooFarAhead;
        }
        return _isSignedBy(payer, digest, winner.v, winner.r, winner.s) ? Refusal.None : Refusal.WrongSignature;
    }

    /// `hashTicket` of the ticket in a winner. A field with dirty high bits gives a digest that no wallet signs.
    function _hashWinner(Winner calldata winner) private view returns (bytes32 structHash) {
        bytes32 typehash = TICKET_TYPEHASH;
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore(at, typehash)
            calldatacopy(add(at, 0x20), winner, 0x100)
            // commit = keccak256(abi.encode(rand)), in the place of rand.
            mstore(add(at, 0xc0), keccak256(add(at, 0xc0), 0x20))
            structHash := keccak256(at, 0x120)
        }
        return _digest(structHash);
    }

    /// Uses a ticket up and takes its face value from the deposit, which must have been found to hold it.
    function _draw(Winner calldata winner, address payee, bytes32 digest, uint256 state, uint256 deposit)
        private
        returns (uint256 faceValue)
    {
        faceValue = winner.faceValue;
        address payer = winner.payer;
        _use(digest, state, payer);
        unchecked {
            _accounts[payer].deposit = deposit - faceValue;
        }
        emit TicketRedeemed(payer, payee, digest, faceValue);
    }

    function _use(bytes32 digest, uint256 state, address payer) private {
        // A notice that can still be settled has not lapsed, so it is counted.
        if (state != UNKNOWN) _accounts[payer].openClaims -= 1;
        _states[digest] = USED;
    }

    /// Rounded down, in favour of the payee.
    function _fee(uint256 amount) private view returns (uint256) {
        unchecked {
            // Below 2^128 * 2^16.
            return amount * feeBps / BPS;
        }
    }

    function _payIn(address payee, uint256 credit, uint256 fee) private {
        if (credit != 0) _credit(payee, credit);
        if (fee != 0) _credit(feeRecipient, fee);
    }
}
