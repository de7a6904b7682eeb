"""What Curfew knows: frozen dataclasses and pure functions. No IO, no clock, no environment.

Times are aware UTC datetimes (`*_at`), lengths timedeltas (`*_for`, `after`), money `Decimal` US dollars (`*_usd`).
"""
