"""`python -m localaws demo`: the main job, played against the clock, and checked against the truth.

It starts `localaws serve` as anybody would, speaks HTTP to Curfew and to `/_world`, and moves the clock itself. What it
claims at the end rests on `/_world` alone, never on what Curfew says of itself.
"""
