"""Settings for all tests."""

from hypothesis import settings

# A loaded machine is slow, not wrong: no example fails for the time it took.
settings.register_profile("equipoise", deadline=None, print_blob=True)
settings.load_profile("equipoise")
