"""Prices as AWS told them, so that a cold process need not ask again, nor be at a loss while AWS does not answer.

List prices and spot prices are an item a region each, in partitions of their own: a version that knows only of list
prices reads no other. What is written here is written for its own sake: nobody waits for it longer than a second.
"""

from chalicelib.domain.prices import ListPrices, SpotPrices
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_records import Records
from chalicelib.gateways.dynamodb_table import HASTE_SECONDS, Write

PRICES = "PRICES"
SPOT = "SPOT"
REGION = "REGION#"


class PriceRecords(Records):
    """What is kept of prices. Of two writers the last one stays: the other's is asked for again, list prices in a day,
    spot prices in minutes."""

    def list_prices(self) -> tuple[ListPrices, ...]:
        """Of every region that was ever asked about."""
        items = self._table.query("pk = :prices", {":prices": PRICES}, patience=HASTE_SECONDS)
        return tuple(codec.read(ListPrices, item) for item in items)

    def keep_list_prices(self, prices: ListPrices) -> None:
        """Keep a region's, over what was known of it."""
        self._keep(PRICES, prices)

    def spot_prices(self) -> tuple[SpotPrices, ...]:
        """Of every region that was ever kept."""
        items = self._table.query("pk = :spot", {":spot": SPOT}, patience=HASTE_SECONDS)
        return tuple(codec.read(SpotPrices, item) for item in items)

    def keep_spot_prices(self, prices: SpotPrices) -> None:
        """Keep a region's, over what was known of it."""
        self._keep(SPOT, prices)

    def _keep(self, partition: str, prices: ListPrices | SpotPrices) -> None:
        put = Write(operation="Put", key=(partition, f"{REGION}{prices.region}"), item=codec.document(prices))
        self._table.commit([put], patience=HASTE_SECONDS)
