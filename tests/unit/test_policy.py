"""The policy: one strict document; what is misspelt is refused, what is left out has its default."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.domain.policy import MAX_LENGTH, NOT_ENFORCED, Policy

DOCUMENT: dict[str, Any] = {
    "idle": {
        "after": "PT1H",
        "warn_before": "PT10M",
        "gpu_below_percent": "1",
        "coverage": "0.8",
        "after_launch": "PT30M",
        "cpu_evidence": "ignore",
    },
    "lease": {"default_for": "PT8H", "max_for": "P3D", "max_open_per_owner": 10},
    "unleased": {"effect": "adopt", "for": "PT8H", "grace": "PT30M", "end": "terminate"},
    "stopped": {"warn_after": "P1D", "end_after": None},
    "limits": {"idle_ends_per_sweep": 10, "hourly_usd": None},
    "teardown": {"margin": "PT15M", "lift_termination_protection": False},
    "bills": {"cost_explorer_every": "PT8H", "own_usd_per_month": {"base": "4.00", "per_box": "0.05"}},
    "notify": {"time_zone": "UTC", "digest_at": "09:00"},
    "scope": {"regions": "all", "accounts": [], "include_types": [], "exclude_types": [], "exclude_tags": {}},
}


def test_the_defaults_are_those_of_the_documents() -> None:
    """The whole document, and nothing, say the same."""
    assert Policy.model_validate(DOCUMENT) == Policy.model_validate({}) == Policy()
    assert Policy().model_dump(mode="json", by_alias=True) == DOCUMENT


@pytest.mark.parametrize("section", sorted(DOCUMENT))
def test_a_key_that_is_misspelt_is_refused_wherever_it_stands(section: str) -> None:
    """A threshold that silently never fires is worse than an error."""
    with pytest.raises(ValidationError):
        Policy.model_validate({section: {"aftr": "PT1H"}})
    with pytest.raises(ValidationError):
        Policy.model_validate({section + "s": {}})


@pytest.mark.parametrize(
    "section, key",
    [(section, key) for section, keys in DOCUMENT.items() for key in keys],
)
def test_every_key_is_accepted_alone(section: str, key: str) -> None:
    """From the first day, whether its rule is built yet or not."""
    assert Policy.model_validate({section: {key: DOCUMENT[section][key]}}) == Policy()


@pytest.mark.parametrize(
    "section, keys",
    [
        ("idle", {"after": "-PT1S"}),
        ("idle", {"after": "P100000D"}),
        ("idle", {"after": "soon"}),
        ("idle", {"gpu_below_percent": 101}),
        ("idle", {"coverage": 1.1}),
        ("idle", {"cpu_evidence": "maybe"}),
        ("lease", {"max_open_per_owner": -1}),
        ("lease", {"max_open_per_owner": 10**9 + 1}),
        ("limits", {"hourly_usd": "-1"}),
        ("unleased", {"end": "delete"}),
        ("notify", {"time_zone": "Mars/Olympus"}),
        ("notify", {"digest_at": "24:00"}),
        ("scope", {"regions": ["everywhere"]}),
        ("scope", {"accounts": ["12"]}),
    ],
)
def test_what_can_t_be_meant_is_refused(section: str, keys: dict[str, Any]) -> None:
    """Out of range, of another kind, or unknown to the world."""
    with pytest.raises(ValidationError):
        Policy.model_validate({section: keys})


@pytest.mark.parametrize("length", ["PT0S", "P99999D"])
def test_durations_may_be_nothing_and_very_long(length: str) -> None:
    """The only upper bound is the schema's."""
    document = {
        "idle": {"after": length, "warn_before": length, "after_launch": length},
        "lease": {"default_for": length, "max_for": length},
        "unleased": {"for": length, "grace": length},
        "teardown": {"margin": length},
    }
    made = Policy.model_validate(document)
    assert made.idle.after == made.unleased.run_for == made.teardown.margin
    assert timedelta(0) <= made.idle.after <= MAX_LENGTH


def test_a_policy_can_t_be_changed_in_place() -> None:
    """One that a sweep has read stays what it is."""
    with pytest.raises(ValidationError):
        Policy().idle.after = timedelta(hours=2)  # type: ignore[misc]


def test_what_is_not_enforced_names_keys_that_exist() -> None:
    """/health tells no tales."""
    for name in NOT_ENFORCED:
        section, _, key = name.partition("=")[0].partition(".")
        assert key in DOCUMENT[section]
