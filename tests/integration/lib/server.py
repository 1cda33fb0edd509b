"""Starts the built server for a suite: a port of its own, data in a temporary folder."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BINARY = os.environ.get("LIGHTCONE", os.path.join(ROOT, "build/release/lightcone"))


class Server:
    """A server process. `data` is kept across restarts and removed by close()."""

    def __init__(self, *options, data=None, environment=None):
        self.options = list(options)
        self.environment = environment or {}
        self.data = data or tempfile.mkdtemp(prefix="lightcone-test-")
        self.port = 0
        self.process = None
        self.start()

    def start(self):
        self.log = open(os.path.join(self.data, "server.log"), "ab")
        # The engine catches faults of modules in a signal handler and allocates there: its affair.
        environment = {"TSAN_OPTIONS": "report_signal_unsafe=0", **os.environ, **self.environment}
        self.process = subprocess.Popen(
            [BINARY, "start", "--listen-addr", f"127.0.0.1:{self.port}", "--data-dir", self.data + "/node",
             "--jwt-key-dir", self.data + "/node/keys",
             *self.options],
            stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment)
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            found = re.search(r"listening on .*:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                break
        else:
            raise RuntimeError(f"the server did not start: {''.join(lines)}{self.log_text()[-2000:]}")
        self.url = f"http://127.0.0.1:{self.port}"
        for _ in range(200):
            try:
                urllib.request.urlopen(self.url + "/v1/ping", timeout=5).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("the server does not answer /v1/ping")

    @property
    def pid(self):
        return self.process.pid

    def log_text(self):
        with open(os.path.join(self.data, "server.log"), errors="replace") as f:
            return f.read()

    def is_alive(self):
        return self.process.poll() is None

    def stop(self, sig=signal.SIGTERM, timeout=30):
        """Sends the signal and waits; the exit code (negative: ended by a signal)."""
        if self.is_alive():
            self.process.send_signal(sig)
        code = self.process.wait(timeout)
        self.process.stdout.close()
        self.log.close()
        return code

    def kill(self):
        return self.stop(signal.SIGKILL)

    def close(self):
        if self.is_alive():
            self.kill()
        shutil.rmtree(self.data, ignore_errors=True)
