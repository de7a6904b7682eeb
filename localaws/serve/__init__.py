"""`python -m localaws serve`: ports, time, and the hand of fate under `/_world`."""
