"""Replay of traces: what is read, the events, the replay, and how its results are shown."""
