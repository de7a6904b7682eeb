"""Lambdas that die in the middle: in process, and what the server's watch over every invocation is made of."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3

from localaws.mortality import LambdaDied, Life, Mortality, invocation, watched_process
from localaws.world import World
from tests.localaws.conftest import IMAGE

LAUNCH = {"ImageId": IMAGE, "InstanceType": "g5.xlarge", "MinCount": 1, "MaxCount": 1}


def test_a_lambda_that_dies_before_its_call_has_not_made_it(world: World) -> None:
    """The second launch never reaches EC2 (Lambda guide, "Understanding the Lambda execution environment lifecycle")."""
    session = world.session()
    mortality, ec2 = Mortality(session), session.client("ec2")
    with mortality.life(dies_at=2) as life:
        ec2.run_instances(**LAUNCH)
        ec2.run_instances(**LAUNCH)
        pytest.fail("a dead Lambda goes on")
    assert life.dead
    assert len(list(world.boxes)) == 1
    ec2.run_instances(**LAUNCH)
    assert len(list(world.boxes)) == 2


def test_a_lambda_that_dies_after_its_call_never_sees_the_answer(world: World) -> None:
    """The launch took effect (Lambda guide, "Understanding the Lambda execution environment lifecycle")."""
    session = world.session()
    mortality, ec2 = Mortality(session), session.client("ec2")
    answers = []
    with mortality.life(dies_at=1, after=True):
        answers.append(ec2.run_instances(**LAUNCH))
    assert (len(list(world.boxes)), answers) == (1, [])


def test_no_except_and_no_finally_of_a_dead_lambda_reaches_aws(world: World) -> None:
    """Cleaning up after oneself is what the dead can't (Lambda guide, "Lambda execution environment lifecycle")."""
    session = world.session()
    mortality, ec2 = Mortality(session), session.client("ec2")
    with mortality.life(dies_at=1):
        try:
            ec2.describe_instances()
        except Exception:  # noqa: BLE001 what an application would write
            ec2.run_instances(**LAUNCH)
        finally:
            ec2.run_instances(**LAUNCH)
    assert list(world.boxes) == []


def test_the_threads_of_a_dead_lambda_die_with_it(world: World) -> None:
    """What another thread asks for later is not sent (Lambda guide, "Lambda execution environment lifecycle")."""
    session = world.session()
    mortality, ec2 = Mortality(session), session.client("ec2")
    with mortality.life(dies_at=1), ThreadPoolExecutor(1) as pool:
        failed = pool.submit(ec2.describe_instances).exception()
        assert isinstance(failed, LambdaDied)
        pool.submit(ec2.run_instances, **LAUNCH).exception()
    assert list(world.boxes) == []


@pytest.fixture
def watched() -> Iterator[None]:
    with watched_process():
        yield


@pytest.mark.usefixtures("watched")
def test_a_call_counts_for_the_invocation_whose_thread_or_pool_makes_it(world: World) -> None:
    """Two invocations at a time have a container each (Lambda guide, "Understanding Lambda function scaling")."""
    ec2 = world.session().client("ec2")
    pool = ThreadPoolExecutor(1)  # a pool that outlives the invocation that made it
    doomed, other = Life(dies_at=2), Life(dies_at=3)
    with invocation(doomed):
        pool.submit(ec2.describe_instances).result()
    with invocation(other):
        pool.submit(ec2.describe_instances).result()
        thread = threading.Thread(target=ec2.describe_instances)
        thread.start()
        thread.join()
    assert (doomed.dead, other.dead) == (False, False)
    with invocation(doomed), pytest.raises(LambdaDied):
        pool.submit(ec2.run_instances, **LAUNCH).result()
    with invocation(other), pytest.raises(LambdaDied):
        ec2.run_instances(**LAUNCH)
    ec2.describe_instances()  # nobody's
    assert list(world.boxes) == []
    pool.shutdown()


@pytest.mark.usefixtures("watched")
def test_nothing_else_leaves_a_dead_lambda_either(world: World) -> None:
    """No message and no retry of a dead one is sent (Lambda guide, "Lambda execution environment lifecycle")."""
    with invocation(Life(dies_at=1)):
        with pytest.raises(LambdaDied):
            world.session().client("ec2").describe_instances()
        with pytest.raises(LambdaDied):
            urllib3.PoolManager().request("POST", "http://127.0.0.1:9/", retries=False)
