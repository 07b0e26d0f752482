"""The nouns. No behaviour that needs a ledger, no I/O; may import nothing of ours."""
