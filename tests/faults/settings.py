"""The console's own settings, with leases and time-outs a test can wait for; all else is as it is in production."""

from sequin_console.settings import *  # noqa: F403
from sequin_console.settings import INSTALLED_APPS, Q_CLUSTER

BUDGET_S, TASK_TIMEOUT_S, LEASE_S = 2, 4, 5
Q_CLUSTER = {**Q_CLUSTER, "timeout": TASK_TIMEOUT_S, "retry": 15}
INSTALLED_APPS = [*INSTALLED_APPS, "tests.faults.apps.FaultsConfig"]
