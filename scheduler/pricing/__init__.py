"""Prices of what people ask for, from linear programs: beside the hot path, never in it."""
