"""List prices as the Pricing API told them, one small item a region, so that a cold process need not ask again."""

from chalicelib.domain.prices import ListPrices
from chalicelib.gateways import dynamodb_codec as codec
from chalicelib.gateways.dynamodb_records import Records
from chalicelib.gateways.dynamodb_table import Write

PRICES = "PRICES"
REGION = "REGION#"


class PriceRecords(Records):
    """What is kept of list prices. Of two writers the last one stays: the other's is asked for again in a day."""

    def list_prices(self) -> tuple[ListPrices, ...]:
        """Of every region that was ever asked about."""
        items = self._table.query("pk = :prices", {":prices": PRICES})
        return tuple(codec.read(ListPrices, item) for item in items)

    def keep_list_prices(self, prices: ListPrices) -> None:
        """Keep a region's, over what was known of it."""
        put = Write(operation="Put", key=(PRICES, f"{REGION}{prices.region}"), item=codec.document(prices))
        self._table.commit([put])
