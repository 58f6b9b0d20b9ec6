"""Collecting on the GPUs of many machines, as tasks of a cluster."""

from .fleet import collect_on_fleet, refuse_for_fleet
from .ray_cluster import RayCluster

__all__ = ["RayCluster", "collect_on_fleet", "refuse_for_fleet"]
