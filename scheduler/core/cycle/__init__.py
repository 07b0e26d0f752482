"""One round of decisions: admit, allocate, and the standing of everybody after it."""
