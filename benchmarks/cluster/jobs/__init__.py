"""One-pod Jobs that run until they are deleted: fill, verdicts, reclaim, fractions at once."""
