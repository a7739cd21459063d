import asyncio
import base64
import socket
import ssl
from datetime import UTC, datetime, timedelta

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from network_world import HostNetwork, background, cluster, endpoint, service, slice_of, until

from argosy.clock import SystemClock
from argosy.engine.network import NetworkSettings
from argosy.engine.network import run as run_network
from argosy.engine.node.runtime.spec import Level
from argosy.kinds import ENDPOINT_SLICE, EVENT, INGRESS, SECRET, SERVICE
from argosy.meta.json import thaw


def ingress(name, host, secret):
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"rules": [rule], "tls": [{"hosts": [host], "secretName": secret}]},
    }


def with_ingress(check):
    """`check(client, address, requests)` with one pod behind Service web."""

    async def main():
        requests = []

        async def handle(request):
            requests.append(request)
            return web.Response(text="hello")

        runner = web.ServerRunner(web.Server(handle))
        await runner.setup()
        pod = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, pod).start()
        listener = socket.create_server(("127.0.0.1", 0))
        address = listener.getsockname()
        try:
            async with cluster() as (client, informers):
                settings = NetworkSettings(level=Level.L0, ingress_socket=listener)
                running = run_network(client, HostNetwork(), settings, SystemClock(), informers=informers)
                await client.create(SERVICE, service(ports=[{"port": 80, "name": "http"}]))
                slices = slice_of("web", [endpoint("127.0.0.1")], {"http": pod.getsockname()[1]})
                await client.create(ENDPOINT_SLICE, slices)
                async with background(running):
                    await check(client, address, requests)
        finally:
            await runner.cleanup()

    asyncio.run(main())


def certificate(*hosts):
    """(key, certificate) in PEM, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, made.public_bytes(pem)


def tls_secret(name, key, chain):
    data = {"tls.key": base64.b64encode(key).decode(), "tls.crt": base64.b64encode(chain).decode()}
    meta = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "type": "kubernetes.io/tls", "data": data}


async def over_tls(address, host, authority, path="/plain"):
    """(status, the scheme that the pod was told) of a request to a host, verified by the authority."""
    context = ssl.create_default_context(cadata=authority.decode())
    reader, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=host)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer.split(b" ")[1].decode()


async def answers(address, host, authority=None):
    """Whether a host answers, over TLS if there is an authority to trust."""
    context = ssl.create_default_context(cadata=authority.decode()) if authority else None
    try:
        reader, writer = await asyncio.open_connection(*address, ssl=context, server_hostname=host if context else None)
    except (ssl.SSLError, ConnectionError):
        return False
    writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer.startswith(b"HTTP/1.1 200")


def test_every_host_has_its_certificate_and_plain_http_the_same_port():
    async def check(client, address, requests):
        key, chain = certificate("secure.test")
        secret = await client.create(SECRET, tls_secret("one", key, chain))
        await client.create(SECRET, tls_secret("two", *(other := certificate("*.below.test"))))
        await client.create(INGRESS, ingress("secure", "secure.test", "one"))
        await client.create(INGRESS, ingress("below", "*.below.test", "two"))
        await until(lambda: answers(address, "secure.test", chain))
        await until(lambda: answers(address, "a.below.test", other[1]))
        assert requests[-1].headers["X-Forwarded-Proto"] == "https"
        assert await answers(address, "secure.test")
        assert requests[-1].headers["X-Forwarded-Proto"] == "http"
        assert not await answers(address, "unknown.test", chain)

        renewed = certificate("secure.test")
        await client.update(SECRET, {**thaw(secret), "data": tls_secret("one", *renewed)["data"]})
        await until(lambda: answers(address, "secure.test", renewed[1]))

    with_ingress(check)


def test_a_certificate_that_is_not_there_is_told():
    async def check(client, address, requests):
        await client.create(INGRESS, ingress("secure", "secure.test", "none"))

        async def told():
            found = [e for e in (await client.list(EVENT)).items if e["reason"] == "NoCertificate"]
            return bool(found) and "there is no Secret default/none" in found[0]["message"]

        await until(told)

    with_ingress(check)


def test_a_class_that_nobody_serves_is_told():
    async def check(client, address, requests):
        made = ingress("other", "other.test", "none")
        del made["spec"]["tls"]
        made["spec"]["ingressClassName"] = "nginx"
        await client.create(INGRESS, made)

        async def told():
            found = [e for e in (await client.list(EVENT)).items if e["reason"] == "ClassNotServed"]
            return bool(found) and 'or write "argosy"' in found[0]["message"]

        await until(told)
        assert not await answers(address, "other.test")

    with_ingress(check)


def test_what_is_no_certificate_is_told():
    async def check(client, address, requests):
        await client.create(SECRET, tls_secret("bad", b"no key", b"no certificate"))
        await client.create(INGRESS, ingress("secure", "secure.test", "bad"))

        async def told():
            found = [e for e in (await client.list(EVENT)).items if e["reason"] == "NoCertificate"]
            return bool(found) and "mend tls.crt and tls.key" in found[0]["message"]

        await until(told)

    with_ingress(check)
