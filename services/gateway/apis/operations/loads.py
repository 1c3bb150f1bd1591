"""This module tells how busy the stages are, from their heartbeats, under SGLang's names."""

from typing import TypedDict

from xylem.services.gateway.fields.json_types import JsonObject
from xylem.services.gateway.generation.pipeline_health import PipelineHealth
from xylem.shared.protocol import Presence


class ExecutorLoadEntry(TypedDict):
    """Says how busy one executor is."""

    id: str
    state: str
    num_running_reqs: int
    max_running_requests: int
    free_pages: int
    total_pages: int
    page_size: int
    token_budget: int


class SchedulerLoadEntry(TypedDict):
    """Says how busy one scheduler is, and what its executors hold. dp_rank: its number among the schedulers."""

    dp_rank: int
    scheduler: str
    num_running_reqs: int
    num_waiting_reqs: int
    num_total_reqs: int
    num_used_tokens: int
    max_total_num_tokens: int
    token_usage: float
    max_running_requests: int
    utilization: float
    gen_throughput: None
    free_pages: int
    total_pages: int
    executors: list[ExecutorLoadEntry]


def loads(pipeline_health: PipelineHealth) -> list[SchedulerLoadEntry]:
    """Returns a load entry per scheduler with its executors; unmeasured fields (tokens per second) are null."""
    schedulers = sorted(
        (peer for peer in pipeline_health.known("scheduler") if peer.state == "ready"), key=lambda peer: peer.id
    )
    executors = sorted(pipeline_health.known("executor"), key=lambda peer: peer.id)
    return [_load(rank, peer, executors) for rank, peer in enumerate(schedulers)]


def aggregate(all_loads: list[SchedulerLoadEntry]) -> JsonObject:
    """Sums over schedulers, and means of shares."""
    count = max(1, len(all_loads))
    return {
        "total_running_reqs": sum(load["num_running_reqs"] for load in all_loads),
        "total_waiting_reqs": sum(load["num_waiting_reqs"] for load in all_loads),
        "total_reqs": sum(load["num_total_reqs"] for load in all_loads),
        "avg_token_usage": sum(load["token_usage"] for load in all_loads) / count,
        "avg_utilization": sum(load["utilization"] for load in all_loads) / count,
        "avg_throughput": None,
    }


def _load(rank: int, scheduler: Presence, executors: list[Presence]) -> SchedulerLoadEntry:
    own = [peer for peer in executors if peer.capacity is not None and peer.capacity.group == scheduler.group]
    capacities = [peer.capacity for peer in own if peer.capacity is not None]
    num_tokens = sum(each.num_pages * each.page_size for each in capacities)
    max_running = sum(each.max_running for each in capacities)
    usage = 1 - scheduler.free_pages / scheduler.total_pages if scheduler.total_pages else 0.0
    return {
        "dp_rank": rank,
        "scheduler": scheduler.id,
        "num_running_reqs": scheduler.running,
        "num_waiting_reqs": scheduler.waiting,
        "num_total_reqs": scheduler.running + scheduler.waiting,
        "num_used_tokens": round(usage * num_tokens),
        "max_total_num_tokens": num_tokens,
        "token_usage": usage,
        "max_running_requests": max_running,
        "utilization": scheduler.running / max_running if max_running else 0.0,
        "gen_throughput": None,
        "free_pages": scheduler.free_pages,
        "total_pages": scheduler.total_pages,
        "executors": [_executor(peer) for peer in own],
    }


def _executor(peer: Presence) -> ExecutorLoadEntry:
    capacity = peer.capacity
    assert capacity is not None
    return {
        "id": peer.id,
        "state": peer.state,
        "num_running_reqs": peer.running,
        "max_running_requests": capacity.max_running,
        "free_pages": peer.free_pages,
        "total_pages": capacity.num_pages,
        "page_size": capacity.page_size,
        "token_budget": capacity.token_budget,
    }
