"""Runs under the arm64 Python: `rpc_guest.py PORT SELF` serves TVM's RPC; SELF is a host program that runs it."""

import sys

from tvm import rpc


def main(port: int, interpreter: str) -> None:
    sys.executable = interpreter  # the server starts processes with it, and the kernel does not execute arm64
    server = rpc.Server("127.0.0.1", port, port + 1)
    print("ready", flush=True)
    sys.stdin.read()
    server.terminate()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
