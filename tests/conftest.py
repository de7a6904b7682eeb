"""What holds for every test."""

import gc

from hypothesis import HealthCheck, settings

# No property is about how fast this machine is.
settings.register_profile("curfew", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("curfew")

# What is imported stays: the collector would go through a million objects again and again, a third of the suite's time.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on only what the tests make is collected."""
    gc.freeze()
    gc.set_threshold(5_000)
    gc.enable()
