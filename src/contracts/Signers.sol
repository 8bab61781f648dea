// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title Who may sign for an account, and the EIP-712 domain they sign in.
/// @notice Domain: name "Hearth", version "1", chain id, this contract. OpenZeppelin's EIP712 needs opcodes of Cancun.
abstract contract Signers {
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME_HASH = keccak256("Hearth");
    bytes32 private constant VERSION_HASH = keccak256("1");

    event SignerAdded(address indexed account, address indexed signer);
    event SignerRevoked(address indexed account, address indexed signer, uint64 validUntil);

    error UnknownSigner();

    uint256 private immutable _deployedChainId = block.chainid;
    bytes32 private immutable _deployedSeparator = _buildSeparator();
    uint64 private immutable _revocationDelay;

    /// The last second in which a hot key may sign for an account; zero: never registered.
    mapping(address account => mapping(address signer => uint64)) public signerUntil;

    constructor(uint64 revocationDelay) {
        _revocationDelay = revocationDelay;
    }

    /// Lets `signer` sign tickets and refunds for the caller, and claim what is owed to it. Also ends a pending revocation.
    function addSigner(address signer) external {
        if (signer == address(0)) revert UnknownSigner();
        signerUntil[msg.sender][signer] = type(uint64).max;
        emit SignerAdded(msg.sender, signer);
    }

    /// Takes effect after the delay, which is the longest life of a ticket: what it signed before stays good.
    function revokeSigner(address signer) external {
        if (signerUntil[msg.sender][signer] != type(uint64).max) revert UnknownSigner();
        uint64 validUntil = uint64(block.timestamp) + _revocationDelay;
        signerUntil[msg.sender][signer] = validUntil;
        emit SignerRevoked(msg.sender, signer, validUntil);
    }

    /// After a fork of the chain the old signatures are good on one side only.
    function domainSeparator() public view returns (bytes32) {
        return block.chainid == _deployedChainId ? _deployedSeparator : _buildSeparator();
    }

    function _digest(bytes32 structHash) internal view returns (bytes32 digest) {
        bytes32 separator = domainSeparator();
        // keccak256(0x1901 | separator | structHash), without allocating.
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore(at, shl(240, 0x1901))
            mstore(add(at, 0x02), separator)
            mstore(add(at, 0x22), structHash)
            digest := keccak256(at, 0x42)
        }
    }

    /// Only the canonical form counts: low s, v 27 or 28, never the zero address. OpenZeppelin's ECDSA sees to it.
    function _isSignedBy(address account, bytes32 digest, uint8 v, bytes32 r, bytes32 s) internal view returns (bool) {
        (address signer,,) = ECDSA.tryRecover(digest, v, r, s);
        if (signer == address(0)) return false;
        return _speaksFor(account, signer);
    }

    function _speaksFor(address account, address who) internal view returns (bool) {
        return who == account || block.timestamp <= signerUntil[account][who];
    }

    /// The same of a signature in 65 bytes, r | s | v. No other length is read.
    function _isSignedBy(address account, bytes32 digest, bytes calldata signature) internal view returns (bool) {
        if (signature.length != 65) return false;
        return _isSignedBy(account, digest, uint8(signature[64]), bytes32(signature[:32]), bytes32(signature[32:64]));
    }

    function _buildSeparator() private view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPEHASH, NAME_HASH, VERSION_HASH, block.chainid, address(this)));
    }
}
