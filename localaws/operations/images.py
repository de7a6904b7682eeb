"""DescribeImages by id: every well-formed AMI id exists, unless moto has an image of that id.

On AWS an unknown id is InvalidAMIID.NotFound. The world has no catalogue to know ids from, and RunInstances takes any
(moto validates none), so the id alone decides: `ami-` and 8 or 17 hex digits is an image whose root volume is the one
that a launch makes here, and one ending in `dead` is not there, for tests of what then happens.
"""

from __future__ import annotations

import re
from typing import Any

from localaws import backend
from localaws.errors import AwsError
from localaws.launching import ROOT_GIB
from localaws.operations import Call, operation

AMI = re.compile(r"^ami-([0-9a-f]{8}|[0-9a-f]{17})$")


@operation("ec2", "DescribeImages")
def describe_images(call: Call) -> dict[str, Any] | None:
    """The images named; a search by anything else is moto's."""
    wanted = call.params.get("ImageIds") or []
    known = backend.ec2_backend(call.region).amis
    if not wanted or any(image_id in known for image_id in wanted):
        return None
    for image_id in wanted:
        if not AMI.match(image_id):
            raise AwsError("InvalidAMIID.Malformed", f'Invalid id: "{image_id}" (expecting "ami-...")')
        if image_id.endswith("dead"):
            raise AwsError("InvalidAMIID.NotFound", f"The image id '[{image_id}]' does not exist")
    return {"Images": [_image(image_id) for image_id in wanted]}


def _image(image_id: str) -> dict[str, Any]:
    ebs = {"VolumeSize": ROOT_GIB, "VolumeType": "gp3", "DeleteOnTermination": True, "Encrypted": False}
    return {
        "ImageId": image_id,
        "Name": f"image {image_id}",
        "State": "available",
        "Architecture": "x86_64",
        "PlatformDetails": "Linux/UNIX",
        "RootDeviceType": "ebs",
        "RootDeviceName": "/dev/sda1",
        "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": ebs}],
    }
