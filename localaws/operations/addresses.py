"""AssociateAddress: an address that belongs to another box moves on, unless it may not (botocore)."""

from __future__ import annotations

from typing import Any

from localaws.errors import AwsError
from localaws.onmoto import backend
from localaws.operations import Call, operation


@operation("ec2", "AssociateAddress")
def associate_address(call: Call) -> dict[str, Any]:
    """Asked again for the same box it answers as before; the box's earlier Elastic IP stays allocated."""
    params, ec2 = call.params, backend.ec2_backend(call.region)
    eni = None
    if params.get("InstanceId"):
        instance = ec2.get_instance(params["InstanceId"])
    elif params.get("NetworkInterfaceId"):
        eni = ec2.get_network_interface(params["NetworkInterfaceId"])
        instance = eni.instance
    else:
        raise AwsError("MissingParameter", "Either InstanceId or NetworkInterfaceId must be specified.")
    if not params.get("AllocationId") and not params.get("PublicIp"):
        raise AwsError("MissingParameter", "The request must contain the parameter AllocationId")
    asked = [params["AllocationId"]] if params.get("AllocationId") else None
    (address,) = ec2.describe_addresses(
        allocation_ids=asked, public_ips=[params["PublicIp"]] if not asked else None
    )
    if address.association_id and address.instance is instance is not None:
        return {"AssociationId": address.association_id}
    if address.association_id and params.get("AllowReassociation") is False:
        raise AwsError(
            "Resource.AlreadyAssociated",
            f"resource {address.allocation_id} is already associated with another",
        )
    _disassociate(ec2, address)
    for other in list(ec2.addresses):
        if instance is not None and other.instance is instance:
            _disassociate(ec2, other)
    associated = ec2.associate_address(instance=instance, eni=eni, allocation_id=address.allocation_id)
    return {"AssociationId": associated.association_id}


def _disassociate(ec2: Any, address: Any) -> None:
    if address.association_id:
        ec2.disassociate_address(address=address.public_ip)
