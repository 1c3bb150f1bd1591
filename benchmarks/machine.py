"""Where and when something was measured."""

import datetime
import os
from typing import Any


def machine() -> dict[str, Any]:
    """load: processes that wanted a core, on average over the last minute. A figure of a busy machine is not one."""
    date = datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%d %H:%M")
    return {"date": date, "cores": len(os.sched_getaffinity(0)), "load": round(os.getloadavg()[0], 1)}
