"""A Kubernetes API that fails on request: a proxy in front of the real one, which speaks its protocol over a real socket."""

import asyncio
import base64
import ssl
import threading
import time
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

_HOP = {"host", "authorization", "connection", "transfer-encoding", "content-length", "content-encoding"}


class ApiProxy:
    """Forwards to the API of a kubeconfig with its token; callers show a bearer token that can be exchanged.

    Attributes:
        kubeconfig: For callers.
        asked: Method, path and status of every request.
    """

    def __init__(self, kubeconfig, folder):
        self.kubeconfig = Path(folder) / "proxied.kubeconfig"
        self.asked = []
        document = yaml.safe_load(Path(kubeconfig).read_text())
        self._upstream = document["clusters"][0]["cluster"]["server"]
        authority = base64.b64decode(document["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        self._upstream_token = document["users"][0]["user"]["token"]
        self._token, self._failures, self._cut_logs, self._silent_until = "token-0", [], 0, 0.0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()
        assert self._ready.wait(20)
        self.exchange_token("token-1")

    def fail_next(self, count, status):
        """Answer the next requests with this status."""
        self._failures += [status] * count

    def cut_logs(self, count):
        """End the next log streams in the middle of their bytes."""
        self._cut_logs = count

    def fall_silent(self, seconds):
        """Drop every connection for so long."""
        self._silent_until = time.monotonic() + seconds

    def exchange_token(self, token, *, tell=True):
        """From now on only this token is good; without ``tell`` callers find out by their 401."""
        self._token = token
        if tell:
            self.write_kubeconfig()

    def write_kubeconfig(self):
        """Give callers the good token."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "u", "user": {"token": self._token}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        part = self.kubeconfig.with_suffix(".part")
        part.write_text(yaml.safe_dump(document))
        part.replace(self.kubeconfig)

    def stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _serve(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()

    async def _start(self):
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._context), auto_decompress=False)
        runner = web.ServerRunner(web.Server(self._answer))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]

    async def _answer(self, request):
        if time.monotonic() < self._silent_until:
            request.transport.abort()
            return web.Response(status=500)
        status = self._refusal(request)
        if status is not None:
            self.asked.append((request.method, request.path, status))
            return web.json_response({"kind": "Status", "status": "Failure", "code": status}, status=status, headers={"Retry-After": "1"})
        return await self._forward(request)

    def _refusal(self, request):
        if request.headers.get("Authorization") != f"Bearer {self._token}":
            return 401
        return self._failures.pop(0) if self._failures else None

    async def _forward(self, request):
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        headers["Authorization"] = f"Bearer {self._upstream_token}"
        body = await request.read()
        async with self._session.request(request.method, self._upstream + request.path_qs, headers=headers, data=body) as answer:
            self.asked.append((request.method, request.path, answer.status))
            passed = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP - {"content-encoding"}}
            if request.path.endswith("/log") and self._cut_logs:
                data = await answer.read()
                if len(data) > 2:
                    self._cut_logs -= 1
                    response = web.StreamResponse(status=answer.status, headers={**passed, "Content-Length": str(len(data))})
                    await response.prepare(request)
                    await response.write(data[: len(data) // 2])
                    request.transport.abort()
                    return response
                return web.Response(status=answer.status, headers=passed, body=data)
            response = web.StreamResponse(status=answer.status, headers=passed)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response
