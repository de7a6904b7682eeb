"""The Store twice: on a simulated DynamoDB, and its twin in memory."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from chalicelib.gateways.aws import new_session
from chalicelib.gateways.dynamodb import DynamoStore
from chalicelib.ports import Store
from localaws.onmoto import dynamodb as light
from tests.doubles.faulty_client import FaultyClient
from tests.doubles.memory_store import MemoryStore
from tests.doubles.store_table import IdleTime, create_table

_numbers = itertools.count()


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[Any]:
    """A client of a simulated DynamoDB, which does not copy its tables for each transaction."""
    with mock_aws():
        light.take_over()
        yield new_session().create_client("dynamodb", region_name="us-east-1")
        light.let_go()


@pytest.fixture
def client(dynamodb: Any) -> FaultyClient:
    """The same client, to which accidents can happen."""
    return FaultyClient(dynamodb)


@pytest.fixture
def idle_time() -> IdleTime:
    """Time that passes by sleeping alone."""
    return IdleTime()


@pytest.fixture
def dynamo_store(client: FaultyClient, idle_time: IdleTime) -> Iterator[DynamoStore]:
    """A store on an empty table."""
    name = f"curfew-{next(_numbers)}"
    create_table(client.client, name)
    yield DynamoStore(lambda: client, name, sleep=idle_time.sleep, elapsed=idle_time.elapsed)  # type: ignore[arg-type,return-value]
    client.client.delete_table(TableName=name)


@pytest.fixture(params=["dynamodb", "memory"])
def store(request: pytest.FixtureRequest) -> Store:
    """An empty store, of each kind."""
    if request.param == "memory":
        return MemoryStore()
    made: DynamoStore = request.getfixturevalue("dynamo_store")
    return made
