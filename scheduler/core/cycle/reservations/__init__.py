"""Devices that drain for large requests: which ones, for whom, and who may use them meanwhile."""
