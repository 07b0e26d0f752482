"""Whose turn: the tenant tree, the exact division, lag, order. Knows tenants and amounts, no nodes."""
