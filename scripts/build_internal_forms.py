"""Make `src/argosy/meta/internal_forms.json.gz`: how Kubernetes holds some objects in memory, which its messages show.

    python scripts/build_internal_forms.py K8S_IO

The input is a folder `k8s.io` of Go packages, with `kubernetes` and `api` in it. Read are the fields' names, order and types:
facts of the messages that clients see. `argosy.meta.internal_form` tells what a row means.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path

OUT = Path(__file__).parents[1] / "src/argosy/meta/internal_forms.json.gz"
ROOTS = {
    "core": (
        "PodTemplateSpec", "PersistentVolumeClaimSpec", "PersistentVolumeSource", "VolumeNodeAffinity", "PodSpec",
        "EphemeralContainer", "Toleration",
    ),
    "batch": ("PodFailurePolicy", "SuccessPolicy"),
    "resource": (
        "ResourceClaimSpec", "ResourceClaimTemplateSpec", "AllocationResult", "DeviceAttribute",
    ),
    "flowcontrol": ("FlowSchemaSpec", "PriorityLevelConfigurationSpec"),
}  # fmt: skip
HOISTED = {"HostNetwork", "HostPID", "HostIPC", "ShareProcessNamespace", "HostUsers"}
"""Fields of the internal PodSecurityContext that clients write a level higher."""
SIMPLE = {
    "string": "s", "metav1.Duration": "s", "types.UID": "s", "types.NodeName": "s", "bool": "b", "float64": "n",
    "resource.Quantity": "q", "runtime.RawExtension": "p", "intstr.IntOrString": "n", "metav1.Time": "p", "[]byte": "l",
}  # fmt: skip

Field = tuple[str | None, str, str | None]


def scan(path: Path) -> tuple[dict[str, list[Field]], dict[str, str]]:
    """The structs of a file with their fields (name, type, JSON tag), and its other type names."""
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    structs = {
        found[1]: [field for line in found[2].splitlines() if (field := _field(line)) is not None]
        for found in re.finditer(r"^type (\w+) struct \{\n(.*?)^\}", text, re.M | re.S)
    }
    names = dict(re.findall(r"^type (\w+) ([\w\[\]\*\.]+)\s*$", text, re.M))
    for name, meant in re.findall(r"^\t(\w+) = ([\w\.]+)$", text, re.M):
        names.setdefault(name, meant)
    return structs, names


def _field(line: str) -> Field | None:
    line = line.strip() if "`" in line else line.split("//", maxsplit=1)[0].strip()
    found = None if line.startswith("//") else re.match(r"(?:(\w+)\s+)?([\*\[\]\w\.]+)(?:\s+`([^`]*)`)?", line)
    if not line or found is None:
        return None
    tag = re.search(r'json:"([^"]*)"', found[3] or "")
    return found[1], found[2], tag[1] if tag else None


class Forms:
    """The rows of every type that is reached from the roots."""

    def __init__(self, packages: Path) -> None:
        self.rows: dict[str, list[list[object]]] = {}
        self._internal = {name: scan(packages / "kubernetes/pkg/apis" / name / "types.go") for name in ROOTS}
        self._shown = {name: scan(packages / "api" / name / "v1/types.go")[0] for name in ROOTS}

    def add(self, package: str, name: str) -> None:
        """The rows of a type and of all that it holds."""
        key = f"{package}.{name}"
        if key in self.rows:
            return
        rows = self.rows[key] = []
        shown = self._shown[package]
        fields = shown.get(name, [])
        if name == "PodSecurityContext":
            fields = shown["PodSpec"] + fields
        written = {field or type.split(".")[-1]: (tag or "").split(",")[0] for field, type, tag in fields}
        for field, type, tag in self._internal[package][0][name]:
            kind, held = self._kind(package, type)
            if field is None:
                rows.append(["", "metadata", "o", None, 0] if held == "metav1.ObjectMeta" else ["", "", kind, held, 0])
                continue
            parts = (tag or "").split(",")
            hoisted = name == "PodSecurityContext" and field in HOISTED
            json_name = written.get(field, field[0].lower() + field[1:])
            rows.append([parts[0] or field, json_name, kind, held, int("omitempty" in parts) | 2 * hoisted])

    def _kind(self, package: str, type: str) -> tuple[str, str | None]:
        if type in SIMPLE or re.fullmatch(r"u?int\d*", type):
            return SIMPLE.get(type, "n"), None
        if type.startswith("*"):
            kind, held = self._kind(package, type[1:])
            return "P" if kind == "t" else "p", held
        if type.startswith("[]"):
            kind, held = self._kind(package, type[2:])
            return "l", held if kind in "tP" else None
        if type.startswith("map["):
            return "m", None
        if type in ("metav1.LabelSelector", "metav1.ObjectMeta"):
            return "t", type
        where, _, name = type.rpartition(".")
        where = {"api": "core", "": package}.get(where, where)
        structs, names = self._internal[where]
        if name in structs:
            self.add(where, name)
            return "t", f"{where}.{name}"
        return self._kind(where, names[name])


def main() -> None:
    """Read the packages, write the table."""
    forms = Forms(Path(sys.argv[1]))
    for package, names in ROOTS.items():
        for name in names:
            forms.add(package, name)
    OUT.write_bytes(gzip.compress(json.dumps(forms.rows, separators=(",", ":")).encode(), mtime=0))
    print(f"{len(forms.rows)} types, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
