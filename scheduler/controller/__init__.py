"""The loop that turns what is known into rounds of decisions and has them carried out."""
