"""The only door to the API server: client, watches, what is written, conversion of objects."""
