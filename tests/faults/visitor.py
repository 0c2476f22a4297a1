"""Somebody who asks the web process for something that it must write for, again and again."""

import http.client
import threading
import time
import urllib.error
import urllib.request


class Visitor(threading.Thread):
    """A thread that asks until `stop`. `cut`: how many answers never came, because who was to give them died."""

    def __init__(self, url: str) -> None:
        super().__init__(name="visitor", daemon=True)
        self.url, self.is_asking, self.cut = f"{url}/readyz", False, 0
        self._done = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._done.wait(0.01):
            self.is_asking = True
            try:
                urllib.request.urlopen(self.url, timeout=30).read()
            except urllib.error.HTTPError:
                pass  # an answer: not all is well
            except urllib.error.URLError as error:
                self.cut += not isinstance(error.reason, ConnectionRefusedError)
            except (OSError, http.client.HTTPException):
                self.cut += 1
            finally:
                self.is_asking = False

    def was_cut(self, *, since: int, within_s: float = 1.0) -> bool:
        """Whether an answer was cut off, beyond the first `since`."""
        deadline = time.monotonic() + within_s
        while self.cut == since and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.cut > since

    def stop(self) -> None:
        self._done.set()
        self.join(60)
