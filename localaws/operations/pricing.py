"""The Price List API: DescribeServices, GetAttributeValues and GetProducts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from localaws.errors import AwsError
from localaws.money.products import SERVICES, Product, products
from localaws.operations import Call, operation

FORMAT = "aws_v1"
MOST_PRODUCTS = 100
MOST_VALUES = 10_000
Test = Callable[[str, str], bool]
TESTS: dict[str, Test] = {
    "TERM_MATCH": lambda actual, wanted: actual.lower() == wanted.lower(),
    "EQUALS": lambda actual, wanted: actual == wanted,
    "CONTAINS": lambda actual, wanted: wanted in actual,
    "ANY_OF": lambda actual, wanted: actual in _listed(wanted),
    "NONE_OF": lambda actual, wanted: actual not in _listed(wanted),
}
"""By type of filter, from an attribute's value and the filter's (botocore, Filter)."""
SAMPLE = {"regionCode": "us-east-1"}
"""Where the names and values of attributes are looked up, but for those that name places."""


def _listed(values: str) -> list[str]:
    return [value.strip() for value in values.split(",")]


@operation("pricing", "DescribeServices")
def describe_services(call: Call) -> dict[str, Any]:
    """The services, each with the names of its attributes."""
    _check_format(call)
    code = call.params.get("ServiceCode")
    codes = [_service(call)] if code else list(SERVICES)
    some, token = _page(call, iter(codes), MOST_PRODUCTS)
    services = [{"ServiceCode": one, "AttributeNames": _attribute_names(call, one)} for one in some]
    return {"Services": services, "FormatVersion": FORMAT, **token}


@operation("pricing", "GetAttributeValues")
def get_attribute_values(call: Call) -> dict[str, Any]:
    """The values that an attribute has, in order."""
    service, name = _service(call), call.params.get("AttributeName", "")
    if name not in _attribute_names(call, service):
        raise AwsError(
            "InvalidParameterException", f"Input Parameters are invalid. {name} is no attribute of {service}"
        )
    place = {"instanceType": "t3.micro"} if name in ("location", "regionCode", "usagetype") else SAMPLE
    values = sorted({one.attributes[name] for one in _all(call, service, place) if name in one.attributes})
    some, token = _page(call, iter(values), MOST_VALUES)
    return {"AttributeValues": [{"Value": value} for value in some], **token}


@operation("pricing", "GetProducts")
def get_products(call: Call) -> dict[str, Any]:
    """The products that pass all filters, each a JSON text; at most 100 a page (botocore, GetProducts)."""
    _check_format(call)
    service, filters = _service(call), call.params.get("Filters", [])
    narrow = {one["Field"]: one["Value"] for one in filters if one["Type"] in ("TERM_MATCH", "EQUALS")}
    found = (one for one in _all(call, service, narrow) if _passes(one, filters))
    some, token = _page(call, found, MOST_PRODUCTS)
    as_of = call.world.market.on_demand.as_of
    return {"FormatVersion": FORMAT, "PriceList": [one.document(as_of) for one in some], **token}


def _all(call: Call, service: str, wanted: Mapping[str, str]) -> Iterator[Product]:
    return products(call.world.market.prices, service, wanted)


def _passes(product: Product, filters: list[dict[str, str]]) -> bool:
    """Whether all filters are met; an attribute that a product does not have meets none but NONE_OF."""
    fields = {**product.attributes, "ServiceCode": product.service, "productFamily": product.family or ""}
    return all(_test(one["Type"])(fields.get(one["Field"], ""), one["Value"]) for one in filters)


def _test(kind: str) -> Test:
    if kind not in TESTS:
        raise AwsError(
            "InvalidParameterException", f"Input Parameters are invalid. {kind} is no type of a filter"
        )
    return TESTS[kind]


def _service(call: Call) -> str:
    code = call.params.get("ServiceCode") or ""
    if not code:
        raise AwsError(
            "InvalidParameterException", "Input Parameters are invalid. serviceCode cannot be null or empty"
        )
    if not code.isalnum():
        raise AwsError("InvalidParameterException", "ServiceCode can only contain a-z, A-Z, 0-9")
    if code not in SERVICES:
        raise AwsError(
            "NotFoundException", f"There is no service {code}: {', '.join(SERVICES)} are simulated"
        )
    return str(code)


def _check_format(call: Call) -> None:
    version = call.params.get("FormatVersion", FORMAT)
    if version != FORMAT:
        raise AwsError("InvalidParameterException", f"Input Parameters are invalid. FormatVersion {version}")


def _attribute_names(call: Call, service: str) -> list[str]:
    sample = _all(call, service, SAMPLE | {"instanceType": "g5.xlarge"})
    return sorted({"productFamily"}.union(*(one.attributes for one in sample)))


def _page(call: Call, items: Iterator[Any], most: int) -> tuple[list[Any], dict[str, str]]:
    """One page, and the token of the next if there is one."""
    size, token = call.params.get("MaxResults") or most, call.params.get("NextToken")
    if not 1 <= size <= most:
        raise AwsError(
            "InvalidParameterException", f"Input Parameters are invalid. MaxResults is 1 to {most}"
        )
    if token and not token.removeprefix("page-").isdigit():
        raise AwsError("InvalidNextTokenException", "Invalid NextToken")
    start = int(token.removeprefix("page-")) if token else 0
    some = list(islice(items, start, start + size + 1))
    following = {"NextToken": f"page-{start + size}"} if len(some) > size else {}
    return some[:size], following
