"""Where the server may listen, and taking the port there before anything else is touched."""

from socket import (
    AF_INET6,
    AI_PASSIVE,
    IPPROTO_IPV6,
    IPV6_V6ONLY,
    SO_REUSEADDR,
    SOCK_STREAM,
    SOL_SOCKET,
    gaierror,
    getaddrinfo,
    socket,
)

from talekeeper.errors import ConfigurationError
from talekeeper.settings import Settings


def check_binding(settings: Settings) -> None:
    """Nobody beyond this machine is served in the clear. Raises ConfigurationError."""
    if settings.is_loopback or settings.is_tls or settings.behind_proxy:
        return
    raise ConfigurationError(
        f"Talekeeper does not listen on {settings.host} without encryption: everybody on the "
        "network could read your tales and your login. Give --tls-cert and --tls-key, or "
        "--behind-proxy if a reverse proxy speaks TLS in front, or leave out --host."
    )


def bound_sockets(settings: Settings) -> list[socket]:
    """The port is taken on every address of the host; nobody listens yet.

    Raises ConfigurationError when another program has it, or the host is not this machine's.
    """
    host = settings.host.strip("[]")
    try:
        found = getaddrinfo(host, settings.port, type=SOCK_STREAM, flags=AI_PASSIVE)
    except gaierror as error:
        raise ConfigurationError(
            f"The host {settings.host} is not known. Give an address of this machine with --host."
        ) from error
    sockets: list[socket] = []
    port = settings.port
    problem: OSError | None = None
    for family, kind, protocol, _, address in sorted(set(found), key=str):
        each = socket(family, kind, protocol)
        try:
            each.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            if family == AF_INET6:
                each.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1)
            each.bind((address[0], port, *address[2:]))
        except OSError as error:
            each.close()
            problem = error
            continue
        port = each.getsockname()[1]
        sockets.append(each)
    if not sockets:
        assert problem is not None
        raise not_bound(settings, problem) from problem
    return sockets


def not_bound(settings: Settings, error: OSError) -> ConfigurationError:
    """Why nobody can listen there, and what to do."""
    where = f"{settings.host}:{settings.port}"
    return ConfigurationError(
        f"Talekeeper cannot listen on {where}: {error.strerror}. If another server is running "
        "there, use that one or stop it; or give another port with --port."
    )
