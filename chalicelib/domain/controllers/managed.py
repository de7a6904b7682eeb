"""Boxes that another AWS service runs: it would put right whatever is ended behind its back, and EKS Auto Mode even
forbids it. They are never fought; whoever runs them is told the lever that works.
"""

from collections.abc import Iterable, Mapping

from chalicelib.domain.instance import Instance, RegionView

# The most telling first: Karpenter's nodes, which it launches by instant fleets, carry the cluster's tags as well, and
# the groups and fleets that Batch makes are Batch's.
_BY_TAG = (
    ("karpenter.sh/", "Karpenter"),
    ("eks:cluster-name", "EKS"),
    ("eks:eks-cluster-name", "EKS"),
    ("eks:nodegroup-name", "EKS"),
    ("kubernetes.io/cluster/", "Kubernetes"),
    ("aws:elasticmapreduce:", "EMR"),
    ("aws:batch:", "Batch"),
    ("AWSBatchServiceTag", "Batch"),
    ("AmazonECSManaged", "ECS"),
    ("aws:ecs:", "ECS"),
)
_LEVERS = (
    ("karpenter", "delete its NodeClaim: kubectl delete nodeclaim …, or lower the limits of its NodePool"),
    ("eks", "scale its node group down: aws eks update-nodegroup-config --scaling-config desiredSize=…"),
    ("kubernetes", "scale it down in its cluster: lower the node group that has made it"),
    ("elasticmapreduce", "aws emr terminate-clusters, or modify-instance-groups with fewer instances"),
    ("emr", "aws emr terminate-clusters, or modify-instance-groups with fewer instances"),
    ("batch", "cancel its jobs, or aws batch update-compute-environment with desiredvCpus 0 and minvCpus 0"),
    ("ecs", "lower the desired count of its service, or of its capacity provider"),
)


def manager_of(tags: Mapping[str, str]) -> str | None:
    """The AWS service that the tags of a box, group or fleet tell of."""
    return next((name for prefix, name in _BY_TAG if any(key.startswith(prefix) for key in tags)), None)


def lever(manager: str) -> str:
    """How a box that a service manages is ended for good."""
    known = manager.lower()
    return next((how for name, how in _LEVERS if name in known), "scale it down there")


def managed_by(instance: Instance, view: RegionView) -> str | None:
    """The service that manages an instance: as itself says, or else its group or fleet does."""
    if instance.managed_by:
        return instance.managed_by
    found = view.group(instance.group) if instance.group else None
    if found is not None and found.managed_by:
        return found.managed_by
    fleets = (view.fleet(one) for one in (instance.fleet_id, instance.spot_fleet_id) if one)
    return next((name for fleet in fleets if fleet and (name := manager_of(fleet.tags))), None)


def obstacle(instances: Iterable[Instance], view: RegionView) -> str | None:
    """Why boxes are not ended here, and what ends them; None where Curfew may."""
    for instance in instances:
        manager = managed_by(instance, view)
        if manager:
            return f"{manager} manages it: {lever(manager)}"
        if _is_in_warm_pool(instance, view):
            return (
                f"the warm pool of Auto Scaling group {instance.group} keeps it, and would start another: "
                f"aws autoscaling delete-warm-pool --auto-scaling-group-name {instance.group}"
            )
    return None


def _is_in_warm_pool(instance: Instance, view: RegionView) -> bool:
    """A stopped box that names its group and is none of its instances, which is how a warm pool's look (botocore,
    DescribeAutoScalingGroups)."""
    group = view.group(instance.group) if instance.group else None
    return group is not None and instance.state == "stopped" and group.member(instance.id) is None
