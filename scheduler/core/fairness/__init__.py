"""Whose turn: the tenant tree, the exact division, lag, order. Knows tenants, no nodes."""
