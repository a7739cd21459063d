"""The files in /etc that are a pod's own: hosts and resolv.conf. Pure text; `worker` writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from argosy.meta.json import Obj, dig
from argosy.meta.objects import name_of, namespace_of

_HEAD = """# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


def hostname_of(pod: Obj) -> str:
    """`spec.hostname`, else the pod's name, cut to what a host name may hold."""
    return str(pod["spec"].get("hostname") or name_of(pod))[:63].rstrip("-.")


def hosts(pod: Obj, address: str, domain: str, table: Mapping[str, Sequence[str]]) -> str:
    """/etc/hosts: the pod itself, its hostAliases and, where there is no DNS, the cluster's names (name to addresses), those
    within a search domain of its `dnsConfig` by their short name too.
    """
    own = [hostname_of(pod)]
    subdomain = pod["spec"].get("subdomain")
    if subdomain:
        own.insert(0, f"{own[0]}.{subdomain}.{namespace_of(pod)}.svc.{domain}")
    lines = [_HEAD, f"{address}\t" + "\t".join(own) + "\n"]
    aliases = dig(pod, "spec", "hostAliases", default=[])
    if aliases:
        lines.append("\n# Entries added by HostAliases.\n")
        lines += [f"{alias.get('ip')}\t" + "\t".join(alias.get("hostnames") or ()) + "\n" for alias in aliases]
    by_address: dict[str, list[str]] = {}
    searches = [f".{search}" for search in dig(pod, "spec", "dnsConfig", "searches", default=[])]
    for name, places in table.items():
        short = [name.removesuffix(search) for search in searches if name.endswith(search)]
        whole = [f"{name}."] if name.endswith(f".{domain}") else []  # DNS knows what a last dot means, a file does not
        names = [name, *whole, *(one for one in short if one not in table)]
        for place in places:
            by_address.setdefault(place, []).extend(one for one in names if one.rstrip(".") not in own)
    by_address = {place: names for place, names in by_address.items() if names}
    if by_address:
        lines.append("\n# The cluster's names: this isolation level has no DNS.\n")
        lines += [f"{place}\t{' '.join(names)}\n" for place, names in by_address.items()]
    return "".join(lines)


def resolv_conf(pod: Obj, dns_address: str, domain: str) -> str:
    """/etc/resolv.conf as `dnsPolicy` and `dnsConfig` say. Empty for policies that use the node's own file."""
    policy = str(pod["spec"].get("dnsPolicy") or "ClusterFirst")
    config = pod["spec"].get("dnsConfig") or {}
    servers: list[str] = []
    searches: list[str] = []
    options: dict[str, str | None] = {}
    if policy in {"ClusterFirst", "ClusterFirstWithHostNet"}:
        servers = [dns_address]
        searches = [f"{namespace_of(pod)}.svc.{domain}", f"svc.{domain}", domain]
        options = {"ndots": "5"}
    servers += config.get("nameservers") or ()
    searches += config.get("searches") or ()
    options |= {str(o.get("name")): o.get("value") for o in config.get("options") or ()}
    lines = [f"search {' '.join(dict.fromkeys(searches))}"] if searches else []
    lines += [f"nameserver {server}" for server in dict.fromkeys(servers)]
    if options:
        lines.append("options " + " ".join(f"{k}:{v}" if v is not None else k for k, v in options.items()))
    return "\n".join(lines) + "\n" if lines else ""


def kubeconfig(server: str, directory: str, namespace: str) -> Obj:
    """A kubeconfig over a service account's volume, for pods whose clients cannot find it at its usual place (L0)."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "in", "cluster": {"server": server, "certificate-authority": f"{directory}/ca.crt"}}],
        "users": [{"name": "in", "user": {"tokenFile": f"{directory}/token"}}],
        "contexts": [{"name": "in", "context": {"cluster": "in", "user": "in", "namespace": namespace}}],
        "current-context": "in",
    }
