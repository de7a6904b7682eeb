"""The policy: one strict document; what is misspelt is refused, what is left out has its default."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.domain.policy import MAX_LENGTH, NOT_ENFORCED, IdlePolicy, Policy

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


def test_a_warning_longer_than_the_idleness_itself_is_accepted_and_remarked() -> None:
    """It is cut to `idle.after`; equal to it or shorter there is nothing to say."""
    assert Policy.model_validate({"idle": {"after": "PT20M", "warn_before": "PT20M"}}).remarks == ()
    (remark,) = Policy.model_validate({"idle": {"after": "PT20M", "warn_before": "PT40M"}}).remarks
    assert remark.startswith("idle.warn_before (PT40M) is longer than idle.after (PT20M)")


def test_an_idleness_shorter_than_what_can_be_judged_is_accepted_and_remarked() -> None:
    """It counts as 15 minutes; that is told beside what else there is to say."""
    assert Policy.model_validate({"idle": {"after": "PT15M"}}).remarks == ()
    short, early = Policy.model_validate({"idle": {"after": "PT5M"}}).remarks
    assert short.startswith("idle.after (PT5M) is shorter than PT15M")
    assert early.startswith("idle.warn_before (PT10M) is longer than idle.after (PT5M)")


def test_a_default_that_is_longer_than_is_allowed_is_remarked() -> None:
    """A launch that leaves out `hours` is refused by it, and whoever puts it has to know."""
    assert Policy.model_validate({"lease": {"max_for": "PT8H"}}).remarks == ()
    (remark,) = Policy.model_validate({"lease": {"max_for": "PT1H"}}).remarks
    assert remark.startswith("lease.default_for (PT8H) is longer than lease.max_for (PT1H)")


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


@pytest.mark.parametrize("length", [60, 3600.5, "3600", "01:00:00", "60", "+PT1H"])
def test_a_length_that_is_no_iso_8601_is_refused(length: Any) -> None:
    """60 would be a minute to one reader and an hour to another."""
    with pytest.raises(ValidationError, match="ISO 8601"):
        Policy.model_validate({"idle": {"after": length}})


def changed(section: str, **keys: Any) -> dict[str, Any]:
    """The stored document with some keys of a section as another version wrote them."""
    own = {"after": "PT5M"} if section == "idle" else {}
    return {**DOCUMENT, section: {**DOCUMENT[section], **own, **keys}}


def test_a_stored_policy_is_read_as_it_was_put() -> None:
    """Nothing is lost, and nothing is said."""
    stored = Policy.from_stored(DOCUMENT)
    assert (stored, stored.not_understood) == (Policy(), ())


def test_a_key_of_another_version_is_passed_over_and_named() -> None:
    """A policy that was put by a newer version still guards after a rollback, with everything this one knows."""
    stored = Policy.from_stored({**changed("idle", by_process="on"), "weather": {"rain": "stop"}})
    assert stored.idle.after == timedelta(minutes=5)
    assert stored.not_understood == ("idle.by_process", "weather")


@pytest.mark.parametrize(
    "document, lost",
    [
        (changed("idle", coverage="most"), "idle.coverage"),
        (changed("idle", cpu_evidence="trust"), "idle.cpu_evidence"),
        ({**changed("idle"), "limits": "none"}, "limits"),
        ({**changed("idle"), "scope": {"accounts": ["all", "none"]}}, "scope.accounts"),
        ({**changed("idle"), "scope": {"regions": ["here", "there"]}}, "scope.regions"),
        (
            {**changed("idle"), "bills": {"own_usd_per_month": {"base": "much"}}},
            "bills.own_usd_per_month.base",
        ),
    ],
)
def test_a_value_that_is_not_understood_takes_its_default_alone(document: dict[str, Any], lost: str) -> None:
    """What stands beside it is kept."""
    stored = Policy.from_stored(document)
    assert stored.not_understood == (lost,)
    assert stored.idle == Policy().idle.model_copy(update={"after": timedelta(minutes=5)})


@pytest.mark.parametrize(
    "document",
    [
        changed("unleased", end="hibernate"),
        changed("unleased", effect="ask"),
        changed("unleased", spare_weekends=True),
        {**DOCUMENT, "scope": {"exclude_vpcs": ["vpc-1"]}},
        {**DOCUMENT, "scope": "us-east-1"},
    ],
)
def test_who_may_be_touched_is_not_guessed(document: dict[str, Any]) -> None:
    """Where scope or unleased is not understood, strays are reported: adopting them might end what was spared."""
    assert Policy.from_stored(document).unleased.effect == "warn"


def test_what_was_to_be_ignored_stays_so() -> None:
    """Caution adds no messages about boxes that nobody asked about."""
    assert Policy.from_stored(changed("unleased", effect="ignore", new=1)).unleased.effect == "ignore"


@pytest.mark.parametrize("document", [None, [], "policy"])
def test_a_stored_policy_that_is_no_document_is_the_defaults(document: Any) -> None:
    """Guarding by defaults is better than not guarding, and it is said."""
    stored = Policy.from_stored(document)
    assert (stored.idle, stored.unleased.effect, stored.not_understood) == (IdlePolicy(), "warn", ("policy",))


def test_a_policy_can_t_be_changed_in_place() -> None:
    """One that a sweep has read stays what it is."""
    with pytest.raises(ValidationError):
        Policy().idle.after = timedelta(hours=2)  # type: ignore[misc]


def test_what_is_not_enforced_names_keys_that_exist() -> None:
    """/health tells no tales."""
    for name in NOT_ENFORCED:
        section, _, key = name.partition("=")[0].partition(".")
        assert key in DOCUMENT[section]
