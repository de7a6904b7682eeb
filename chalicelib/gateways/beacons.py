"""Keys for the heartbeats of leases: 256 random bits each, known to the lease's record and to its boxes alone."""

import secrets

from chalicelib.domain.guest_heartbeat import Beacon

KEY_BYTES = 32


class RandomBeacons:
    """Implements chalicelib.ports.Beacons."""

    def __init__(self, public_url: str) -> None:
        self._url = public_url

    def new_key(self) -> str:
        """A key in hex."""
        return secrets.token_hex(KEY_BYTES)

    def of(self, lease_id: str, key: str) -> Beacon:
        """What a box of a lease is given."""
        return Beacon(lease_id=lease_id, url=self._url, key=key)
