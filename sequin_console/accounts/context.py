"""What every template may ask: what the reader may do, and where she is."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from sequin_console.accounts.rights import Right, may


def rights(request: HttpRequest) -> dict[str, Any]:
    """Context processor. Templates use it to hide what a role cannot do; views decide."""
    actor = getattr(request, "user", None)
    return {
        "can_operate": may(actor, Right.OPERATE),
        "can_admin": may(actor, Right.ADMIN),
        "console_version": settings.SEQUIN_VERSION,
        "demo": bool(settings.SANDBOX_URL),
        "sandbox_url": settings.SANDBOX_URL,
    }
