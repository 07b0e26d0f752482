"""The only door to the API server: client, watches, what is written, and conversion of its objects."""
