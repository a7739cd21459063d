"""Rules of what is asked about requests: webhooks, admission policies and their bindings."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from argosy.meta import causes, names
from argosy.meta.json import Obj
from argosy.meta.rules.fields import Found, one_of, required, say, selector

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_MATCH_POLICIES = ("Equivalent", "Exact")
_REVIEWS = ("v1", "v1beta1")
_URL_FORM = "; desired format: https://host[/path]"


def webhooks(new: Obj, old: Obj | None) -> Found:
    """Webhook configurations of both sorts."""
    found: Found = []
    seen: set[str] = set()
    for index, webhook in enumerate(new.get("webhooks") or ()):
        path = f"webhooks[{index}]"
        _webhook(found, path, webhook)
        _reviews(found, f"{path}.admissionReviewVersions", webhook.get("admissionReviewVersions") or [])
        name = webhook.get("name") or ""
        if name and name in seen:
            found.append(causes.duplicate(f"{path}.name", name))
        seen.add(name)
    return found


def _webhook(found: Found, path: str, webhook: Obj) -> None:
    name = webhook.get("name") or ""
    if not name:
        found.append(causes.required(f"{path}.name"))
    elif names.subdomain(name):
        say(found, f"{path}.name", name, names.subdomain(name))
    elif name.count(".") < 2:
        message = "should be a domain with at least three segments separated by dots"
        found.append(causes.invalid(f"{path}.name", name, message))
    for index, rule in enumerate(webhook.get("rules") or ()):
        _rule(found, f"{path}.rules[{index}]", rule)
    _choice(found, f"{path}.failurePolicy", webhook.get("failurePolicy"), ("Fail", "Ignore"))
    _choice(found, f"{path}.matchPolicy", webhook.get("matchPolicy"), _MATCH_POLICIES)
    _choice(found, f"{path}.reinvocationPolicy", webhook.get("reinvocationPolicy"), ("IfNeeded", "Never"))
    effects = webhook.get("sideEffects")
    if effects is None:
        found.append(causes.required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun"))
    _choice(found, f"{path}.sideEffects", effects, ("None", "NoneOnDryRun"))
    seconds = webhook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        message = "the timeout value must be between 1 and 30 seconds"
        found.append(causes.invalid(f"{path}.timeoutSeconds", seconds, message))
    for key in ("namespaceSelector", "objectSelector"):
        selector(found, f"{path}.{key}", webhook.get(key))
    client_config(found, f"{path}.clientConfig", webhook.get("clientConfig") or {})
    if webhook.get("matchConditions"):
        from argosy.meta.cel.policies import conditions  # noqa: PLC0415 (many clusters never see one)

        found += conditions(f"{path}.matchConditions", webhook["matchConditions"], params=False)


def client_config(found: Found, path: str, config: Obj) -> None:
    """Where a webhook is: at a URL, or behind a Service."""
    url: str | None = config.get("url")
    service: Obj | None = config.get("service")
    if (url is None) == (service is None):
        found.append(causes.required(path, "exactly one of url or service is required"))
    elif url is not None:
        _url(found, f"{path}.url", url)
    elif service is not None:
        _service(found, f"{path}.service", service)


def _choice(found: Found, path: str, value: str | None, supported: Sequence[str]) -> None:
    """One of these where it is given at all; an empty text is none of them."""
    if value is not None and value not in supported:
        found.append(causes.unsupported(path, value, supported))


def _url(found: Found, path: str, value: str) -> None:
    url = urlsplit(value)
    if url.scheme != "https":
        found.append(causes.invalid(path, url.scheme, f"'https' is the only allowed URL scheme{_URL_FORM}"))
    user, _, host = url.netloc.rpartition("@")
    if not host:
        found.append(causes.invalid(path, host, f"host must be specified{_URL_FORM}"))
    if user:
        found.append(causes.invalid(path, user, "user information is not permitted in the URL"))
    if url.fragment:
        found.append(causes.invalid(path, url.fragment, "fragments are not permitted in the URL"))
    if url.query:
        found.append(causes.invalid(path, url.query, "query parameters are not permitted in the URL"))


def _service(found: Found, path: str, service: Obj) -> None:
    # The real server mixes the two up: a service without a name is told that its namespace is missing.
    required(found, f"{path}.name", service.get("namespace"))
    required(found, f"{path}.namespace", service.get("name"))
    number = service.get("port")
    if number is not None and names.port_number(number):
        why = "port is not valid: " + ", ".join(names.port_number(number))
        found.append(causes.invalid(f"{path}.port", number, why))
    place, url = f"{path}.path", service.get("path") or "/"
    if url == "/":
        return
    if url == "//":
        found.append(causes.invalid(place, url, "segment[0] may not be empty"))
        return
    if not url.startswith("/"):
        found.append(causes.invalid(place, url, "must start with a '/'"))
    for index, step in enumerate(url[1:].removesuffix("/").split("/")):
        if not step:
            found.append(causes.invalid(place, url, f"segment[{index}] may not be empty"))
        else:
            say(found, place, url, [f"segment[{index}]: {why}" for why in names.subdomain(step)])


def _reviews(found: Found, path: str, versions: Sequence[str]) -> None:
    if not versions:
        found.append(causes.required(path, "must specify one of v1, v1beta1"))
    else:
        review_versions(found, path, versions)


def review_versions(found: Found, path: str, versions: Sequence[str]) -> None:
    """The versions in which a webhook takes its questions; some are given."""
    for index, version in enumerate(versions):
        if version in versions[:index]:
            found.append(causes.invalid(f"{path}[{index}]", version, "duplicate version"))
        else:
            say(found, f"{path}[{index}]", version, names.label_1035(version))
    if not any(version in _REVIEWS for version in versions):
        found.append(causes.invalid(path, list(versions), "must include at least one of v1, v1beta1"))


def _rule(found: Found, path: str, rule: Obj) -> None:
    """What a webhook or a policy is asked about: operations on resources."""
    operations, groups = rule.get("operations") or [], rule.get("apiGroups") or []
    versions = rule.get("apiVersions") or []
    _all_or_some(found, f"{path}.operations", operations, "operations")
    for index, operation in enumerate(operations):
        _choice(found, f"{path}.operations[{index}]", operation, _OPERATIONS)
    _all_or_some(found, f"{path}.apiGroups", groups, "API groups")
    _all_or_some(found, f"{path}.apiVersions", versions, "API versions")
    for index, version in enumerate(versions):
        required(found, f"{path}.apiVersions[{index}]", version)
    _resources(found, f"{path}.resources", rule.get("resources") or [])
    _choice(found, f"{path}.scope", rule.get("scope"), _SCOPES)


def _all_or_some(found: Found, path: str, values: Sequence[str], what: str) -> None:
    if not values:
        found.append(causes.required(path))
    elif len(values) > 1 and "*" in values:
        found.append(causes.invalid(path, list(values), f"if '*' is present, must not specify other {what}"))


def _resources(found: Found, path: str, resources: Sequence[str]) -> None:
    if not resources:
        found.append(causes.required(path))
    wild_parts: set[str] = set()
    wild_wholes: set[str] = set()
    plain = False
    for index, each in enumerate(resources):
        place = f"{path}[{index}]"
        if not each:
            found.append(causes.required(place))
            continue
        whole, slash, part = each.partition("/")
        if not slash:
            plain = each != "*"
            continue
        if whole in wild_parts:
            found.append(causes.invalid(place, each, f"if '{whole}/*' is present, must not specify {each}"))
        if part in wild_wholes:
            found.append(causes.invalid(place, each, f"if '*/{part}' is present, must not specify {each}"))
        if part == "*":
            wild_parts.add(whole)
        if whole == "*":
            wild_wholes.add(part)
    if len(resources) > 1 and "*/*" in resources:
        message = "if '*/*' is present, must not specify other resources"
        found.append(causes.invalid(path, list(resources), message))
    if "*" in resources and plain:
        message = "if '*' is present, must not specify other resources without subresources"
        found.append(causes.invalid(path, list(resources), message))


def _match(found: Found, path: str, match: Obj) -> None:
    """What a policy or a binding applies to."""
    _choice(found, f"{path}.matchPolicy", match.get("matchPolicy"), _MATCH_POLICIES)
    for key in ("namespaceSelector", "objectSelector"):
        selector(found, f"{path}.{key}", match.get(key))
    for key in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(match.get(key) or ()):
            place, called = f"{path}.{key}[{index}]", rule.get("resourceNames") or []
            for number, name in enumerate(called):
                say(found, f"{place}.resourceNames[{number}]", name, names.path_segment(name))
                if name in called[:number]:
                    found.append(causes.duplicate(f"{place}.resourceNames[{number}]", name))
            _rule(found, place, rule)


def admission_policy(new: Obj, old: Obj | None) -> Found:
    """ValidatingAdmissionPolicy."""
    found: Found = []
    spec = new["spec"]
    _choice(found, "spec.failurePolicy", spec.get("failurePolicy"), ("Fail", "Ignore"))
    if spec.get("paramKind") is not None:
        _param_kind(found, "spec.paramKind", spec["paramKind"])
    match = spec.get("matchConstraints")
    if match is None:
        found.append(causes.required("spec.matchConstraints"))
    else:
        _match(found, "spec.matchConstraints", match)
        required(found, "spec.matchConstraints.resourceRules", match.get("resourceRules"))
    annotations = spec.get("auditAnnotations") or ()
    keys = [each.get("key") or "" for each in annotations]
    for index, key in enumerate(keys):
        place, name = f"spec.auditAnnotations[{index}].key", new["metadata"].get("name") or ""
        if name:
            say(found, place, f"{name}/{key}", names.qualified(f"{name}/{key}"))
        else:
            found.append(causes.invalid(place, key, "requires metadata.name be non-empty"))
        if key in keys[:index]:
            found.append(causes.duplicate(place, key))
    if not spec.get("validations") and not annotations:
        message = "validations or auditAnnotations must contain at least one item"
        found.append(causes.required("spec.validations", message))
        found.append(causes.required("spec.auditAnnotations", message))
    from argosy.meta.cel.policies import complaints  # noqa: PLC0415 (many clusters never see a policy)

    return [*found, *complaints(spec)]


def _param_kind(found: Found, path: str, param: Obj) -> None:
    written, kind = param.get("apiVersion") or "", param.get("kind") or ""
    place = f"{path}.apiVersion"
    group, _, version = written.rpartition("/")
    if not written:
        found.append(causes.required(place))
    elif written.count("/") > 1:
        found.append(causes.invalid(place, written, f"unexpected GroupVersion string: {written}"))
    else:
        if group and names.subdomain(group):
            found.append(causes.invalid(place, group, ",".join(names.subdomain(group))))
        if not version:
            found.append(causes.invalid(place, written, "version must be specified"))
        elif names.label_1035(version):
            found.append(causes.invalid(place, version, ",".join(names.label_1035(version))))
    if required(found, f"{path}.kind", kind) and names.label_1035(kind.lower()):
        message = "may have mixed case, but should otherwise match: " + ",".join(names.label_1035(kind.lower()))
        found.append(causes.invalid(f"{path}.kind", kind, message))


def admission_binding(new: Obj, old: Obj | None) -> Found:
    """ValidatingAdmissionPolicyBinding."""
    found: Found = []
    spec = new["spec"]
    policy = spec.get("policyName") or ""
    if required(found, "spec.policyName", policy):
        say(found, "spec.policyName", policy, names.subdomain(policy))
    if spec.get("paramRef") is not None:
        _param_ref(found, "spec.paramRef", spec["paramRef"])
    if spec.get("matchResources") is not None:
        _match(found, "spec.matchResources", spec["matchResources"])
    actions = spec.get("validationActions") or []
    if not actions:
        found.append(causes.required("spec.validationActions", "at least one validation action is required"))
    for index, action in enumerate(actions):
        one_of(found, f"spec.validationActions[{index}]", action, ("Audit", "Deny", "Warn"))
        if action in actions[:index]:
            found.append(causes.duplicate(f"spec.validationActions[{index}]", action))
    return found


def _param_ref(found: Found, path: str, ref: Obj) -> None:
    name, chosen, missing = ref.get("name") or "", ref.get("selector"), ref.get("parameterNotFoundAction") or ""
    both = "name and selector are mutually exclusive"
    if name:
        say(found, f"{path}.name", name, names.path_segment(name))
    if name and chosen is not None:
        found.append(causes.forbidden(f"{path}.name", both))
    selector(found, f"{path}.selector", chosen)
    if name and chosen is not None:
        found.append(causes.forbidden(f"{path}.selector", both))
    if not name and chosen is None:
        found.append(causes.required(path, "one of name or selector must be specified"))
    if required(found, f"{path}.parameterNotFoundAction", missing):
        _choice(found, f"{path}.parameterNotFoundAction", missing, ("Deny", "Allow"))
