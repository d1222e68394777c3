"""The chain: contract artifact, dev node, JSON-RPC, transactions, journal, and proofs against a block header.

The only home of web3, eth_account, coincurve, solcx, trie and rlp.
"""
