"""Turns between tenants in virtual time: jobs with durations, decided about by the live core."""
