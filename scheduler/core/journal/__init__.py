"""The journal: what rounds saw and decided as JSON lines, and back, so that they can be replayed.

The first line of a file is a whole picture, each later one what changed since the line before it.
A line is a JSON object; `v` is the version of the format. docs/reference/journal.md says the rest.
"""
