"""The task queue, as something that may be away for a while: Redis restarted, the database gone for a minute.

Nothing is lost by it (invariant 11), so whoever queues is told soon rather than kept waiting, and a cluster that
fetches waits and goes on by itself instead of ending. Settings choose the broker; django-q2 does all the rest.
"""

import functools
import time
from typing import Any

import django_q.tasks
import redis
import structlog
from django.db import DatabaseError, connections
from django_q.brokers import orm, redis_broker
from django_q.conf import Conf
from redis.backoff import NoBackoff
from redis.retry import Retry

ANSWER_S = 3  # a Redis that is silent for so long counts as gone; a fetch waits one second for something to do
AWAY_S = 1.0

log = structlog.get_logger(__name__)


class QueueAway(Exception):
    """The queue took nothing. The scheduler finds the work again once it is back."""


def async_task(task: str, *args: Any, cluster: str) -> None:
    """Queue a task for a cluster. Raises QueueAway at once when there is no queue; a database's own errors as they are.

    args   ids alone: they lie in the queue for all to read (invariant 10)
    """
    try:
        django_q.tasks.async_task(task, *args, cluster=cluster)
    except redis.RedisError as error:
        raise QueueAway(f"Redis does not take tasks: {error}") from error


class RedisBroker(redis_broker.Redis):
    """One connection pool a process, a limit to waiting, and patience while Redis is away."""

    @staticmethod
    def get_connection(list_key: str | None = None) -> redis.Redis:
        return _redis(Conf.REDIS)

    def dequeue(self) -> Any:
        """Tasks as (receipt, package), or None after a moment. Redis hands out no receipts."""
        try:
            return super().dequeue()
        except redis.RedisError as error:
            _wait_for("Redis", error)
            return None


class OrmBroker(orm.ORM):
    """The database's queue, with patience while the database is away."""

    def dequeue(self) -> Any:
        try:
            return super().dequeue()
        except DatabaseError as error:
            connections[Conf.ORM].close()
            _wait_for("the database", error)
            return None

    def delete(self, task_id: int) -> None:
        """Take a task that is done out of the queue. If that fails it is run once more, which does no harm."""
        try:
            super().delete(task_id)
        except DatabaseError as error:
            connections[Conf.ORM].close()
            log.warning("a task that is done stays in the queue", error=str(error))


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


def _wait_for(what: str, error: Exception) -> None:
    log.warning(f"the queue waits for {what}", error=str(error))
    time.sleep(AWAY_S)
