"""CreateTags and DeleteTags: moto does them; how late their effect shows is the world's."""

from __future__ import annotations

from localaws.onmoto import backend
from localaws.operations import Call, operation


@operation("ec2", "CreateTags")
def create_tags(call: Call) -> None:
    """At most 50 tags a resource; set ones overwrite (botocore, CreateTags)."""
    _note(call)
    for resource_id in call.params.get("Resources", []):
        call.world.guests.tagged(
            resource_id, {tag["Key"]: tag["Value"] for tag in call.params.get("Tags", [])}
        )


@operation("ec2", "DeleteTags")
def delete_tags(call: Call) -> None:
    """Without tags it takes away all that are the user's own (botocore, DeleteTags)."""
    _note(call)


def _note(call: Call) -> None:
    tags = backend.ec2_backend(call.region).tags
    for resource_id in call.params.get("Resources", []):
        before = dict(tags.get(resource_id, {}))
        keys = [tag["Key"] for tag in call.params.get("Tags", [])] or list(before)
        call.world.consistency.note_tags(resource_id, before, keys)
