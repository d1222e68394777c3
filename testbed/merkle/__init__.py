"""RFC 9162 trees and proofs, C2SP tiles. Pure: no files, no network, no clock."""
