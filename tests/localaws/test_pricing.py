"""The Price List API: the world's prices as AWS lists them, with the rows that trip the careless."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from localaws.world import World

LINUX = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
G5 = {"instanceType": "g5.xlarge", "regionCode": "us-east-1"}


@pytest.fixture
def pricing(world: World) -> Any:
    return world.session().client("pricing")


def products(pricing: Any, service: str = "AmazonEC2", **fields: str) -> list[dict[str, Any]]:
    """All pages of the products with these attributes."""
    filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in fields.items()]
    pages = pricing.get_paginator("get_products").paginate(ServiceCode=service, Filters=filters)
    return [json.loads(text) for page in pages for text in page["PriceList"]]


def usd(product: dict[str, Any]) -> Decimal:
    """The one on-demand price of a product, the way down to it."""
    (term,) = product["terms"]["OnDemand"].values()
    (rate,) = term["priceDimensions"].values()
    return Decimal(rate["pricePerUnit"]["USD"])


def test_an_instance_type_has_one_plain_linux_price(world: World, pricing: Any) -> None:
    """Region, type, system, tenancy, software and capacity status together leave one row (Price List guide)."""
    (product,) = products(pricing, **G5, **LINUX)
    assert usd(product) == Decimal("1.006")
    attributes = product["product"]["attributes"]
    assert (attributes["usagetype"], attributes["operation"]) == ("BoxUsage:g5.xlarge", "RunInstances")
    assert (attributes["location"], attributes["gpu"], attributes["marketoption"]) == (
        "US East (N. Virginia)",
        "1",
        "OnDemand",
    )


def test_a_product_is_a_json_text_in_awss_nested_shape(pricing: Any) -> None:
    """Term and rate are keyed by the SKU and AWS's codes (botocore, PriceListJsonItems; offer file definitions)."""
    (text,) = pricing.get_products(
        ServiceCode="AmazonEC2",
        FormatVersion="aws_v1",
        Filters=[{"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in (G5 | LINUX).items()],
    )["PriceList"]
    assert isinstance(text, str)
    document = json.loads(text)
    sku = document["product"]["sku"]
    term = document["terms"]["OnDemand"][f"{sku}.JRTCKXETXF"]
    rate = term["priceDimensions"][f"{sku}.JRTCKXETXF.6YS6EN2CT7"]
    assert (document["serviceCode"], document["product"]["productFamily"]) == (
        "AmazonEC2",
        "Compute Instance",
    )
    assert (rate["unit"], rate["beginRange"], rate["endRange"]) == ("Hrs", "0", "Inf")
    assert set(document) == {"product", "serviceCode", "terms", "version", "publicationDate"}


def test_a_type_alone_has_many_rows_with_other_prices(pricing: Any) -> None:
    """Windows, dedicated hardware and reservations are rows of their own (CUR guide, product/capacitystatus)."""
    rows = products(pricing, **G5)
    assert len(rows) == len({row["product"]["sku"] for row in rows}) > 20
    assert {row["product"]["attributes"]["operatingSystem"] for row in rows} == {"Linux", "Windows", "RHEL"}
    prices = {usd(row) for row in rows}
    assert min(prices) == 0
    assert max(prices) > Decimal("1.006")


def test_a_reservation_in_use_is_listed_at_nothing_and_an_unused_one_at_the_full_price(pricing: Any) -> None:
    """AllocatedCapacityReservation is $0, UnusedCapacityReservation the on-demand price (CUR guide, "Monitoring your
    On-Demand Capacity Reservations")."""
    plain = G5 | LINUX
    (allocated,) = products(pricing, **plain | {"capacitystatus": "AllocatedCapacityReservation"})
    (unused,) = products(pricing, **plain | {"capacitystatus": "UnusedCapacityReservation"})
    assert (usd(allocated), usd(unused)) == (0, Decimal("1.006"))
    assert allocated["product"]["attributes"]["usagetype"] == "Reservation:g5.xlarge"
    assert unused["product"]["attributes"]["usagetype"] == "UnusedBox:g5.xlarge"


def test_windows_costs_more_unless_the_licence_is_ones_own(pricing: Any) -> None:
    """The licence comes by the vCPU (EC2 pricing, Windows; offer file, licenseModel)."""
    windows = G5 | LINUX | {"operatingSystem": "Windows"}
    (bought,) = products(pricing, **windows | {"licenseModel": "No License required"})
    (own,) = products(pricing, **windows | {"licenseModel": "Bring your own license"})
    assert usd(bought) > usd(own) == Decimal("1.006")


def test_a_region_is_asked_for_by_code_or_by_its_location(pricing: Any) -> None:
    """The price list says EU where the console says Europe (offer file, location)."""
    by_code = products(pricing, **LINUX, instanceType="g5.xlarge", regionCode="eu-west-1")
    assert by_code == products(pricing, **LINUX, instanceType="g5.xlarge", location="EU (Ireland)")
    assert by_code[0]["product"]["attributes"]["usagetype"] == "EU-BoxUsage:g5.xlarge"
    assert products(pricing, **LINUX, instanceType="g5.xlarge", location="Europe (Ireland)") == []


def test_the_list_has_every_region_and_pages_of_at_most_a_hundred(pricing: Any) -> None:
    """NextToken leads through all of it (botocore, GetProductsMaxResults)."""
    everywhere = products(pricing, **LINUX, instanceType="g5.xlarge")
    regions = [row["product"]["attributes"]["regionCode"] for row in everywhere]
    assert len(regions) == len(set(regions)) > 20
    first = pricing.get_products(ServiceCode="AmazonEC2", MaxResults=100)
    assert (len(first["PriceList"]), bool(first["NextToken"])) == (100, True)
    with pytest.raises(ClientError, match="InvalidNextTokenException"):
        pricing.get_products(ServiceCode="AmazonEC2", NextToken="mine")
    assert len(pricing.get_products(ServiceCode="AmazonEC2", MaxResults=7)["PriceList"]) == 7


def test_an_unknown_type_has_no_products_and_an_unknown_service_is_an_error(pricing: Any) -> None:
    """Nothing found is an empty list, not an error (botocore, GetProducts; cb-spider issue 1055 for service codes)."""
    assert products(pricing, **G5 | {"instanceType": "g99.xlarge"}) == []
    for call in (pricing.get_products, pricing.describe_services):
        with pytest.raises(ClientError, match="NotFoundException"):
            call(ServiceCode="AmazonEC3")
        with pytest.raises(ClientError, match="InvalidParameterException"):
            call(ServiceCode="Amazon EC2")


def test_storage_is_priced_by_volume_api_name(pricing: Any) -> None:
    """GiB, IOPS and throughput are products of their own, a month each (Amazon EBS pricing; offer file)."""
    rows = products(pricing, volumeApiName="gp3", regionCode="us-west-2")
    found = {row["product"]["attributes"]["usagetype"]: usd(row) for row in rows}
    assert found == {
        "USW2-EBS:VolumeUsage.gp3": Decimal("0.08"),
        "USW2-EBS:VolumeP-IOPS.gp3": Decimal("0.005"),
        "USW2-EBS:VolumeP-Throughput.gp3": Decimal("40.96"),
    }
    (storage,) = products(pricing, volumeApiName="io2", regionCode="us-west-2", productFamily="Storage")
    assert usd(storage) == Decimal("0.125")


def test_snapshots_addresses_and_data_transfer_are_priced(pricing: Any) -> None:
    """Snapshots with EC2, addresses with VPC and without a family, transfer in steps (offer files)."""
    (snapshot,) = products(pricing, productFamily="Storage Snapshot", regionCode="us-east-1")
    assert usd(snapshot) == Decimal("0.05")
    addresses = products(pricing, "AmazonVPC", regionCode="us-east-1")
    assert {one["product"]["attributes"]["usagetype"]: usd(one) for one in addresses} == {
        "USE1-PublicIPv4:InUseAddress": Decimal("0.005"),
        "USE1-PublicIPv4:IdleAddress": Decimal("0.005"),
    }
    assert all("productFamily" not in one["product"] for one in addresses)
    (transfer,) = products(pricing, "AWSDataTransfer", fromRegionCode="us-east-1")
    (term,) = transfer["terms"]["OnDemand"].values()
    steps = sorted(
        (int(rate["beginRange"]), rate["endRange"], Decimal(rate["pricePerUnit"]["USD"]))
        for rate in term["priceDimensions"].values()
    )
    assert steps[0] == (0, "10340", Decimal("0.09"))
    assert steps[-1][1:] == ("Inf", Decimal("0.05"))


def test_filters_can_also_compare_contain_and_exclude(pricing: Any) -> None:
    """EQUALS, CONTAINS, ANY_OF and NONE_OF beside TERM_MATCH (botocore, Filter)."""

    def count(kind: str, field: str, value: str) -> int:
        plain = [
            {"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in (G5 | LINUX).items() if k != field
        ]
        answer = pricing.get_products(
            ServiceCode="AmazonEC2", Filters=[*plain, {"Type": kind, "Field": field, "Value": value}]
        )
        return len(answer["PriceList"])

    assert count("EQUALS", "capacitystatus", "Used") == 1
    assert count("TERM_MATCH", "capacitystatus", "used") == 1
    assert count("CONTAINS", "capacitystatus", "CapacityReservation") == 2
    assert count("ANY_OF", "capacitystatus", "Used,UnusedCapacityReservation") == 2
    assert count("NONE_OF", "capacitystatus", "Used") == 2


def test_services_say_their_attributes_and_attributes_their_values(pricing: Any) -> None:
    """What can be filtered by (botocore, DescribeServices and GetAttributeValues)."""
    services = pricing.describe_services()["Services"]
    assert [one["ServiceCode"] for one in services] == ["AmazonEC2", "AmazonVPC", "AWSDataTransfer"]
    assert {"instanceType", "volumeApiName", "capacitystatus", "regionCode"} <= set(
        services[0]["AttributeNames"]
    )
    (alone,) = pricing.describe_services(ServiceCode="AmazonEC2", FormatVersion="aws_v1")["Services"]
    assert alone["AttributeNames"] == services[0]["AttributeNames"]

    def values(name: str) -> list[str]:
        pages = pricing.get_paginator("get_attribute_values").paginate(
            ServiceCode="AmazonEC2", AttributeName=name
        )
        return [one["Value"] for page in pages for one in page["AttributeValues"]]

    assert values("tenancy") == ["Dedicated", "Shared"]
    assert "EU (Ireland)" in values("location")
    assert "p5.48xlarge" in values("instanceType")
    with pytest.raises(ClientError, match="InvalidParameterException"):
        values("colour")


def test_there_is_an_endpoint_in_few_regions_alone(world: World) -> None:
    """us-east-1, eu-central-1 and ap-south-1 answer; elsewhere there is nobody (AWS General Reference, endpoints)."""
    once = Config(retries={"max_attempts": 0})
    client = world.session().client("pricing", region_name="ap-south-1", config=once)
    assert client.describe_services()["Services"]
    nobody = world.session().client("pricing", region_name="us-west-2", config=once)
    with pytest.raises(ConnectionClosedError):
        nobody.describe_services()


def test_the_list_is_what_the_bill_is_made_of() -> None:
    """With regional prices both say the same of a region."""
    with World(regions=("us-east-1", "eu-west-1"), regional_prices=True) as world:
        client = world.session().client("pricing")
        (row,) = products(client, **LINUX, instanceType="g5.xlarge", regionCode="eu-west-1")
        assert usd(row) == world.market.on_demand_usd("eu-west-1a", "g5.xlarge") > Decimal("1.006")
