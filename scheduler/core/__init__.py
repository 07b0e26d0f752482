"""The deciding core: pure. No I/O, clock, log or randomness; `now` is an argument."""
