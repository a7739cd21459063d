"""Make `src/argosy/engine/apiserver/wire.json.gz`: the protobuf field numbers of the messages that clients post.

    python scripts/build_wire_table.py WIRE_FIELDS.json.gz

The input names every message of Kubernetes' API: message -> field number -> [JSON name, opt|rep|map, type]; the numbers are
facts of the wire format. The output keeps what the served kinds need, with types as indices.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

from argosy import kinds

OUT = Path(__file__).parents[1] / "src/argosy/engine/apiserver/wire.json.gz"
META = "k8s.io.apimachinery.pkg.apis.meta.v1"
PACKAGES = {
    "": "core", "admissionregistration.k8s.io": "admissionregistration", "authentication.k8s.io": "authentication",
    "authorization.k8s.io": "authorization", "certificates.k8s.io": "certificates",
    "coordination.k8s.io": "coordination", "discovery.k8s.io": "discovery", "events.k8s.io": "events",
    "networking.k8s.io": "networking", "node.k8s.io": "node", "rbac.authorization.k8s.io": "rbac",
    "resource.k8s.io": "resource", "scheduling.k8s.io": "scheduling", "storage.k8s.io": "storage",
    "flowcontrol.apiserver.k8s.io": "flowcontrol",
}  # fmt: skip
INLINE = {
    "volumeSource", "handler", "probeHandler", "ephemeralContainerCommon", "persistentVolumeSource",
    "localObjectReference", "ingressRuleValue", "deviceConfiguration", "ruleWithOperations", "rule",
}  # fmt: skip
"""Fields whose own fields stand in their place in JSON."""
RENAMED = {"uID": "uid", "aPIGroup": "apiGroup"}
MORE = (kinds.SCALE, kinds.EVICTION, kinds.TOKEN_REQUEST)
SELF_REVIEWS = ("v1alpha1", "v1beta1")


def roots(messages: dict[str, object]) -> dict[str, str]:
    """`apps/v1/Deployment` -> the full name of its message."""
    found = {}
    for kind in (*kinds.ALL, *MORE):
        package = PACKAGES.get(kind.group, kind.group)
        name = f"k8s.io.api.{package}.{kind.version}.{kind.kind}"
        if name in messages:
            found[f"{kind.api_version}/{kind.kind}"] = name
    for version in SELF_REVIEWS:
        name = f"k8s.io.api.authentication.{version}.SelfSubjectReview"
        if name in messages:
            found[f"authentication.k8s.io/{version}/SelfSubjectReview"] = name
    found["v1/DeleteOptions"] = found["meta.k8s.io/v1/DeleteOptions"] = f"{META}.DeleteOptions"
    return found


def resolve(messages: dict[str, object], holder: str, type_name: str) -> str:
    """The full name of a type that a message's field names; empty for scalars."""
    if type_name.startswith("."):
        return type_name[1:]
    local = f"{holder.rpartition('.')[0]}.{type_name}"
    return local if local in messages else ""


def main(path: str) -> None:
    """Write the table."""
    messages = json.loads(gzip.decompress(Path(path).read_bytes()))
    named = roots(messages)
    order: list[str] = []
    queue = list(dict.fromkeys(named.values()))
    while queue:
        name = queue.pop()
        if name in order:
            continue
        order.append(name)
        for _, _, type_name in messages[name].values():
            full = resolve(messages, name, type_name)
            if full in messages and full not in order:
                queue.append(full)
    index = {name: at for at, name in enumerate(order)}
    table = []
    for name in order:
        fields = []
        for number, (json_name, card, type_name) in sorted(messages[name].items(), key=lambda item: int(item[0])):
            full = resolve(messages, name, type_name)
            shown = RENAMED.get(json_name, json_name[:1].lower() + json_name[1:])
            how = "inline" if json_name in INLINE and full else card
            fields.append([int(number), shown, how, index.get(full, type_name)])
        table.append([name.rpartition(".")[2], fields])
    made = {"kinds": {key: index[name] for key, name in sorted(named.items())}, "messages": table}
    raw = json.dumps(made, separators=(",", ":")).encode()
    OUT.write_bytes(gzip.compress(raw, 9, mtime=0))
    print(f"{OUT.name}: {len(order)} messages, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
