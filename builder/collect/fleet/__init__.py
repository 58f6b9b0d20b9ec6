"""Collecting on the GPUs of many machines, as tasks of a cluster.

`collect_on_fleet` compiles on the cluster's CPUs, measures on its GPUs, each its share of the plan,
and brings the journals back; `RayCluster` is the cluster.
"""

from .fleet import collect_on_fleet, refuse_for_fleet
from .ray_cluster import RayCluster

__all__ = ["RayCluster", "collect_on_fleet", "refuse_for_fleet"]
