"""Logging by structlog: one line a fact, key=value for people, JSON with SEQUIN_LOG_JSON=1; secrets never."""

import logging
import logging.config
from typing import Any

import structlog

SECRET_WORDS = ("secret", "token", "password", "jwt", "seed", "creds", "authorization", "api_key", "refresh")


def mask_secrets(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """Replace the value of every key that smells of a secret; the last line of defence, not the first."""
    for key in event:
        if any(word in key.lower() for word in SECRET_WORDS) and event[key]:
            event[key] = "********"
    return event


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    mask_secrets,
    structlog.processors.format_exc_info,  # plain: a traceback with local variables would print secrets
]


def logging_config(*, as_json: bool, level: str) -> dict[str, Any]:
    """Configure structlog and the standard library's logging to print alike; returns Django's LOGGING dict."""
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "plain": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django-q": {"level": "WARNING", "handlers": ["stderr"], "propagate": False},
            "httpx": {"level": "WARNING"},
            "nats": {"level": "CRITICAL"},
            "uvicorn.access": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
        },
    }
    logging.config.dictConfig(config)
    return config
