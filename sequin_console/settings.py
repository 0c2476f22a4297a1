"""Settings, read from the environment. Every variable is described in docs/settings.md.

On one machine nothing need be set: data, keys and the SQLite files live in one folder (`SEQUIN_DATA_DIR`, default
`.sequin/`). With `DATABASE_URL` (PostgreSQL) and, if wanted, `REDIS_URL`, the same code runs on many nodes.
"""

import os
import warnings
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from csp.constants import NONE, SELF

from sequin_console.common import keys
from sequin_console.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("SEQUIN_DATA_DIR") or BASE_DIR / ".sequin").resolve()


def env_flag(name: str, default: bool = False) -> bool:
    return os.environ.get(name, "1" if default else "0").strip().lower() in {"1", "true", "yes", "on"}


# --- Identity of this installation ---------------------------------------------------------------------------------

DEBUG = env_flag("SEQUIN_DEBUG")
SEQUIN_VERSION = "0.1.0"
SECRET_KEY, ENCRYPTION_KEYS = keys.for_settings(DATA_DIR)

# The address people type. It alone builds redirect URLs, so that an OAuth redirect stays true behind a proxy.
PUBLIC_URL = (os.environ.get("PUBLIC_URL") or f"http://127.0.0.1:{os.environ.get('SEQUIN_PORT', '8000')}").rstrip("/")
_public = urlsplit(PUBLIC_URL)
ALLOWED_HOSTS = [
    host
    for host in {_public.hostname, "localhost", "127.0.0.1", *os.environ.get("ALLOWED_HOSTS", "").split(",")}
    if host
]
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

# --- Apps ----------------------------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_htmx",
    "channels",
    "django_q",
    "axes",
    "sequin_console.common",
    "sequin_console.accounts",
    "syncs",
    "consumers",
    "sequin_console",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "sequin_console.accounts.middleware.SignInRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "sequin_console.common.web.ProblemMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "sequin_console.urls"
ASGI_APPLICATION = "sequin_console.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "sequin_console.accounts.context.rights",
            ],
            "builtins": ["sequin_console.common.templatetags.console_tags"],
        },
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Databases -----------------------------------------------------------------------------------------------------

# PostgreSQL when DATABASE_URL says so. Else SQLite: WAL, one writer at a time by a file lock, the queue in a file of
# its own, for queue polling must never wait behind a page of records (DESIGN.md, Workers).
# What is mapped counts as a worker's memory once it was read: 128 MB made 265 MB of it, 32 MB make 168, as quickly.
_SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 30,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY; "
    "PRAGMA cache_size=-32000; PRAGMA mmap_size=33554432; "
    # 16 MB of log before it is copied back (4 MB by default): with a million records held, ids that come in no order
    # write to as many pages of an index as there are rows, and many of them are then copied once. 24 µs of CPU and
    # 4.8 kB written a new record, where it was 40 µs and 9.5 kB. More saves little and makes one commit wait longer.
    "PRAGMA wal_autocheckpoint=4000;",
}


def _sqlite(name: str) -> dict:
    """Workers keep it open (the web does not: asgi.py). To open it takes a millisecond of CPU, and django-q2 and the
    scheduler would else do so for every look, ten times a second.
    """
    place = {"NAME": DATA_DIR / name, "CONN_MAX_AGE": None}
    return {"ENGINE": "sequin_console.common.sqlite", "OPTIONS": dict(_SQLITE_OPTIONS), **place}


DATABASE_URL = os.environ.get("DATABASE_URL", "")
if DATABASE_URL:
    DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=600, conn_health_checks=True)}
else:
    DATABASES = {"default": _sqlite("console.sqlite3"), "queue": _sqlite("queue.sqlite3")}  # type: ignore[dict-item]
    DATABASE_ROUTERS = ["sequin_console.common.routers.QueueRouter"]

# --- Work ----------------------------------------------------------------------------------------------------------

# One task takes many units and works on them for at most BUDGET_S; the queue's own time-out cuts a task that hangs;
# the lease outlives both, so that nobody else starts the same unit meanwhile.
BUDGET_S, TASK_TIMEOUT_S, LEASE_S = 20, 40, 60
WORKERS = int(os.environ.get("SEQUIN_WORKERS", "2"))
REDIS_URL = os.environ.get("REDIS_URL", "")
Q_CLUSTER = {
    "name": "sequin",
    "cluster_name": "syncs",
    "ALT_CLUSTERS": {"consumers": {}},
    "workers": WORKERS,
    "queue_limit": WORKERS,
    "bulk": 1,
    "timeout": TASK_TIMEOUT_S,
    "retry": 130,  # > timeout x (1 + ceil((queue_limit + bulk) / workers)); checks.py holds us to it
    "max_attempts": 3,
    "ack_failures": True,
    "save_limit": -1,
    "recycle": 5000,
    "poll": 0.25,  # s between looks into an empty queue; small changes do not wait for it (consumers/courier.py)
    "scheduler": False,
    "catch_up": False,
    "log_level": "WARNING",
    "broker_class": f"sequin_console.common.{'redis_queue.RedisBroker' if REDIS_URL else 'task_queue.OrmBroker'}",
    **({"redis": REDIS_URL} if REDIS_URL else {"orm": "default" if DATABASE_URL else "queue"}),
}

# --- Web -----------------------------------------------------------------------------------------------------------

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(os.environ.get("STATIC_ROOT") or BASE_DIR / "staticfiles")
# Nobody ran collectstatic: serve straight from the source folders.
WHITENOISE_USE_FINDERS = not STATIC_ROOT.is_dir()
warnings.filterwarnings("ignore", message="No directory at", category=UserWarning)  # then whitenoise need not warn
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Every web process feeds its own sockets from its own watcher (common/changes.py): no shared layer is needed.
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# --- Who may do what -----------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "home"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
AUTH_PASSWORD_VALIDATORS[1]["OPTIONS"] = {"min_length": 10}  # type: ignore[assignment]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False

_SECURE = _public.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"  # an OAuth redirect comes back from another site
SESSION_COOKIE_NAME = "sequin_session"
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = _SECURE and env_flag("SECURE_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = 31_536_000 if _SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _SECURE
if env_flag("TRUST_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
_WS = PUBLIC_URL.replace("http", "ws", 1)
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF, _WS],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# --- Upstream ------------------------------------------------------------------------------------------------------

# JSON, provider to base URLs: {"salesforce": "https://…"} or {"github": {"api": "https://…", "login": "https://…"}}.
# Read and checked by syncs/hosts.py: https or loopback only.
PROVIDER_URLS = os.environ.get("SEQUIN_PROVIDER_URLS", "")
# Networks by commas, or `all`: private addresses of APIs that admins describe. Read by syncs/private_apis.py.
PRIVATE_APIS = os.environ.get("SEQUIN_PRIVATE_APIS", "")
# Set by `up` when the demo runs; adds the built-in sandbox to the places a connection can point at.
SANDBOX_URL = os.environ.get("SEQUIN_SANDBOX_URL", "")
# The embedded nats-server, set by `up`; offered as a ready choice in the consumer form and checked by /readyz.
EMBEDDED_NATS_URL = os.environ.get("SEQUIN_NATS_URL", "")
CHANGES_KEPT_DAYS = int(os.environ.get("SEQUIN_CHANGES_KEPT_DAYS", "7"))

LOGGING_CONFIG = None
LOGGING = logging_config(as_json=env_flag("SEQUIN_LOG_JSON"), level=os.environ.get("SEQUIN_LOG_LEVEL", "INFO"))
