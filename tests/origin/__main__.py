"""``python -m tests.origin``: runs the server until SIGINT or SIGTERM."""

import argparse
import signal
import threading

from tests.origin.server import Origin


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.origin", description=__doc__)
    parser.add_argument("--http-port", type=int, default=0)
    parser.add_argument("--https-port", type=int, default=0)
    arguments = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with Origin(http_port=arguments.http_port, https_port=arguments.https_port) as origin:
        print(f"http  127.0.0.1:{origin.http_port}")
        print(f"https 127.0.0.1:{origin.https_port}")
        print(f"ca    {origin.ca_pem}", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
