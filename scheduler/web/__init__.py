"""The status page, its JSON, metrics and health, on a port of their own."""
