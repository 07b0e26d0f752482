"""One round: admit, allocate, reserve, stop, and the standing of everybody after it."""
