"""The door of a served simulator: ends TLS, logs whom it refuses and why, and passes bytes on to gRPC.

gRPC's core tells a failed handshake to its own stderr at best. Python's ``ssl`` says exactly what was wrong, so handshakes happen
here, in a thread with an event loop. Who is admitted is connected to gRPC's socket in a folder that only this user may enter, from
a socket that bears the caller's address as its name: gRPC's ``peer()`` then still says who calls.

Source: X509_verify_cert_error_string(3) for the codes of refused certificates.
"""

import asyncio
import contextlib
import socket
import ssl
import tempfile
import threading
from ipaddress import ip_address
from pathlib import Path

from blueprint_pipeline.log import get_logger
from blueprint_pipeline.simulation.service.security import InvalidTlsFiles, ServerTls

HANDSHAKE_S = 10.0
CHUNK_BYTES = 256 * 1024
ACCEPT_PAUSE_S = 1.0
"""Before the next try where the machine gives no connection (too many open files)."""

_BAD_CERTIFICATE = {9: "certificate not yet valid", 10: "expired certificate", 26: "certificate not made for clients"}
_FAILED_HANDSHAKE = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no certificate",
    "HTTP_REQUEST": "plain text",
    "HTTPS_PROXY_REQUEST": "plain text",
    "WRONG_VERSION_NUMBER": "plain text",
    "TLSV1_ALERT_UNKNOWN_CA": "caller refuses our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "caller refuses our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "caller refuses our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "caller refuses our certificate",
    "UNSUPPORTED_PROTOCOL": "outdated TLS",
}


def reason_of(error: OSError) -> str:
    """Why a handshake failed, in the words that the log and its alerts rely on."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _BAD_CERTIFICATE.get(error.verify_code, "untrusted certificate")
    if isinstance(error, ssl.SSLError):
        return _FAILED_HANDSHAKE.get(error.reason or "", "handshake failed")
    return "caller ended the handshake" if isinstance(error, ConnectionResetError) else "handshake not finished"


class TlsListener:
    """Listens with mutual TLS; certificates that change on disk count for the next connection.

    Args:
        host: Address to bind to.
        port: 0 takes a free one.
        tls: The server's files.

    Raises:
        InvalidTlsFiles: They cannot be used.
    """

    def __init__(self, host: str, port: int, tls: ServerTls) -> None:
        self._tls = tls
        self._stamps = tls.stamps()
        self._context = tls.context()
        self._folder = tempfile.TemporaryDirectory(prefix="blueprint-")
        self._inner = str(Path(self._folder.name) / "grpc")
        self.target = f"unix:{self._inner}"
        """What gRPC is to listen at."""
        family = socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004 -- IPv6
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setblocking(False)
        self._socket.bind((host, port))
        self.port: int = self._socket.getsockname()[1]
        self._connections: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="tls", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._stopped = asyncio.Event()
        self._closing = threading.Lock()

    def start(self) -> None:
        """Open the door."""
        self._socket.listen()
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Close the door and every connection; a door that is closed (by an engine that hung) stays closed."""
        with self._closing:
            loop, self._loop = self._loop, None
            if loop is not None:
                loop.call_soon_threadsafe(self._stopped.set)
                self._thread.join()
            self._socket.close()
            self._folder.cleanup()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started.set()
        door = asyncio.create_task(self._admit_all())
        await self._stopped.wait()
        tasks = [door, *self._connections]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _admit_all(self) -> None:
        while True:
            try:
                connection, address = await asyncio.get_running_loop().sock_accept(self._socket)
            except OSError as error:
                get_logger().exception("no connection can be accepted", reason=str(error))
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            peer = f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
            task = asyncio.create_task(self._admit(connection, peer))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _admit(self, connection: socket.socket, peer: str) -> None:
        try:
            if not await _has_sent(connection):
                get_logger().debug("connection closed before a handshake", peer=peer)  # a probe of the port
                connection.close()
                return
            outer = await self._shake_hands(connection)
        except OSError as error:
            get_logger().warning("connection refused", peer=peer, reason=reason_of(error), detail=str(error))
            connection.close()
            return
        with contextlib.closing(outer[1]), contextlib.suppress(OSError):  # gRPC stops: nobody answers inside
            await _join(outer, await self._connect_inside(peer))

    async def _shake_hands(self, connection: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=CHUNK_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        context = self._current_context()
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=context, ssl_handshake_timeout=HANDSHAKE_S)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _connect_inside(self, peer: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        inside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        inside.setblocking(False)
        name = Path(self._folder.name) / peer
        inside.bind(str(name))
        try:
            await asyncio.get_running_loop().sock_connect(inside, self._inner)
        except OSError:
            inside.close()
            raise
        finally:
            name.unlink()  # the socket keeps its name
        return await asyncio.open_unix_connection(sock=inside, limit=CHUNK_BYTES)

    def _current_context(self) -> ssl.SSLContext:
        """The context of the files as they are now; the one before where they do not fit together."""
        stamps = self._tls.stamps()
        if stamps != self._stamps:
            try:
                self._context, self._stamps = self._tls.context(), stamps
                get_logger().info("certificates read again", certificate=str(self._tls.certificate))
            except InvalidTlsFiles as error:
                get_logger().error("new certificates cannot be used", **error.as_dict())
        return self._context


async def _has_sent(connection: socket.socket) -> bool:
    """Wait for a caller's first byte, and leave it where it is; ``False`` if the caller closes instead."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        async with asyncio.timeout(HANDSHAKE_S):
            await readable.wait()
        return bool(connection.recv(1, socket.MSG_PEEK))
    except ConnectionResetError:
        return False
    finally:
        loop.remove_reader(connection)


async def _join(*ends: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """Pass bytes on both ways until one side ends."""
    (outer_reader, outer_writer), (inner_reader, inner_writer) = ends
    pumps = [asyncio.create_task(_pump(outer_reader, inner_writer)), asyncio.create_task(_pump(inner_reader, outer_writer))]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        inner_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # a side that is gone ends the connection, which is all there is to do
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
