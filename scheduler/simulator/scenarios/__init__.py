"""Scenarios and share cases from JSON files: read, run on the live core, judged."""
