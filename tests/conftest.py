"""What holds for every test."""

import gc

# What is imported stays: the collector would go through a million objects again and again, a third of the suite's time.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on only what the tests make is collected."""
    gc.freeze()
    gc.enable()
