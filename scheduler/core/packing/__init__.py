"""Where: fit, score, pick. Policies are small functions in one table."""
