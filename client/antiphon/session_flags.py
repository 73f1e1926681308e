"""The flags that say which server a session is held with."""

import argparse
from typing import NamedTuple

from antiphon.server_address import ENDPOINT
from antiphon_proto import config


class Server(NamedTuple):
    """Where to connect, and with which key."""

    url: str
    api_key: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags `--url` and `--api-key` and those of the configuration."""
    parser.add_argument(
        "--url",
        help="the server, for example ws://localhost:8080 (default: the configuration's gateway)",
    )
    parser.add_argument("--api-key", metavar="KEY", help="key that the server wants")
    config.add_arguments(parser)


def server(arguments: argparse.Namespace) -> Server:
    """Return the server that the flags ask for.

    The configured key is for the configured gateway alone; it is not sent to another address.
    """
    if arguments.url:
        return Server(arguments.url, arguments.api_key or "")
    gateway = config.from_arguments(arguments).gateway
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(gateway.host, gateway.host)
    place = f"[{host}]" if ":" in host else host
    key = arguments.api_key or next(iter(gateway.api_keys), "")
    return Server(f"ws://{place}:{gateway.port}{ENDPOINT}", key)
