"""A server that takes uploads in and forgets them, with less work than any that stores them.

``python -m scripts.benchmark_sink ETAG CRC64`` prints its port and answers every
PUT with these headers, until its standard input ends.
"""

import socket
import sys
import threading

_PIECE = 1 << 20
_DISCARD = getattr(socket, "MSG_TRUNC", 0) if sys.platform == "linux" else 0
"""Linux drops the bytes of a stream without a copy of them."""


def serve(connection: socket.socket, answer: bytes) -> None:
    """Takes one connection's uploads in, one behind the other."""
    buffer = bytearray(_PIECE)
    with connection:
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                received = connection.recv(65536)
                if not received:
                    return
                head += received
            head, _, begun = head.partition(b"\r\n\r\n")
            left = _length(head) - len(begun)
            while left > 0:
                count = connection.recv_into(buffer, min(left, _PIECE), _DISCARD)
                if not count:
                    return
                left -= count
            connection.sendall(answer)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def main() -> None:
    etag, crc64 = sys.argv[1:]
    answer = (
        f'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: tencent-cos\r\nETag: "{etag}"\r\n'
        f"x-cos-hash-crc64ecma: {crc64}\r\nx-cos-request-id: NmIwMzU0ZGRfNjRiODJhMDk=\r\n\r\n"
    ).encode()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        print(listener.getsockname()[1], flush=True)

        def accept() -> None:
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection, answer), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()


if __name__ == "__main__":
    main()
