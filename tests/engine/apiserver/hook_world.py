"""A webhook server of a test's own, over HTTPS on this machine: what it was asked, and what it answers by path."""

import base64
import inspect
import ssl
from contextlib import asynccontextmanager
from datetime import timedelta

from aiohttp import web
from api_world import START, with_world

from argosy.engine.apiserver import certificates

EVERY_MAP = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}


class Hooks:
    """What the webhooks were asked, and what they answer by their path."""

    def __init__(self, url, bundle):
        self.url, self.bundle = url, bundle
        self.asked = []
        self.answers = {}

    def hook(self, path, name="a.example.com", **more):
        return {
            "name": name, "clientConfig": {"url": f"{self.url}/{path}", "caBundle": self.bundle},
            "rules": [EVERY_MAP], "sideEffects": "None", "admissionReviewVersions": ["v1"], **more,
        }  # fmt: skip

    async def answer(self, request):
        review = await request.json()
        self.asked.append((request.path.strip("/"), review["request"]))
        given = self.answers[request.path.strip("/")]
        response = given(review["request"]) if callable(given) else given
        if inspect.isawaitable(response):
            response = await response
        if isinstance(response, web.StreamResponse):
            return response
        body = {"apiVersion": review["apiVersion"], "kind": review["kind"]}
        return web.json_response({**body, "response": {"uid": review["request"]["uid"], "allowed": True, **response}})


@asynccontextmanager
async def webhooks(tmp_path):
    until = START + timedelta(days=36500)
    authority = certificates.authority(START - timedelta(days=3650), until)
    leaf = certificates.Leaf("hook", (), ("localhost",), START - timedelta(days=3650), until)
    certificate, key = certificates.signed(leaf, *authority)
    (tmp_path / "pem").write_bytes(certificate + key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "pem")
    app, hooks = web.Application(), Hooks("", base64.b64encode(authority[0]).decode())
    app.router.add_post("/{path:.*}", hooks.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        hooks.url = f"https://localhost:{runner.addresses[0][1]}"
        yield hooks
    finally:
        await runner.cleanup()


def with_hooks(tmp_path, check):
    async def inner(world):
        async with webhooks(tmp_path) as hooks:
            await check(world, hooks)

    with_world(inner)
