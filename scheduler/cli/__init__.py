"""Commands. `main` registers them; each command wires what it needs (composition root)."""
