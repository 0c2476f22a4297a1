"""The task queue in Redis. Imported where settings choose it alone: the client costs a process 27 MB."""

import functools
from typing import Any

import redis
from django_q.brokers import redis_broker
from django_q.conf import Conf
from redis.backoff import NoBackoff
from redis.retry import Retry

from sequin_console.common.task_queue import QueueAway, wait_for

ANSWER_S = 3  # a Redis that is silent for so long counts as gone; a fetch waits one second for something to do


class RedisBroker(redis_broker.Redis):
    """One connection pool a process, a limit to waiting, and patience while Redis is away."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> redis.Redis:
        return _redis(Conf.REDIS)

    def enqueue(self, task: Any) -> Any:
        """Raises QueueAway."""
        try:
            return super().enqueue(task)
        except redis.RedisError as error:
            raise QueueAway(f"Redis does not take tasks: {error}") from error

    def dequeue(self) -> Any:
        """Tasks as (receipt, package), or None after a moment. Redis hands out no receipts."""
        try:
            return super().dequeue()
        except redis.RedisError as error:
            wait_for("Redis", error)
            return None


@functools.cache
def _redis(url: str) -> redis.Redis:
    """This process's client; its pool notices a fork by itself. One try more: a connection may have lain too long."""
    return redis.Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 1),
        socket_timeout=ANSWER_S,
        socket_connect_timeout=ANSWER_S,
        socket_keepalive=True,
        health_check_interval=30,
    )
