"""Which environment an image is, and how environments are built (from packages made here, without a network)."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from argosy.engine.node.images import Images, installers
from argosy.engine.node.images.catalogue import CatalogueFiles
from argosy.engine.node.images.resolve import (
    CatalogueError,
    Environment,
    ImageError,
    Platform,
    address,
    find,
    other_python,
    read,
    split,
)

CATALOGUE = CatalogueFiles(Path("/nonexistent/images.yaml")).current()


@pytest.mark.parametrize(
    ("reference", "repository", "tag"),
    [
        ("busybox", "busybox", "latest"),
        ("docker.io/library/python:3.12-slim", "python", "3.12-slim"),
        ("registry.k8s.io/pause:3.10@sha256:" + "a" * 64, "registry.k8s.io/pause", "3.10"),
        ("localhost:5000/mine/app", "localhost:5000/mine/app", "latest"),
        ("kserve/huggingfaceserver:v0.15", "kserve/huggingfaceserver", "v0.15"),
    ],
)
def test_references(reference, repository, tag):
    assert split(reference) == (repository, tag)


@pytest.mark.parametrize("bad", ["", "UPPER", "a b", "a:", "a//b", ":x", "invalid-image:", "http://x/y"])
def test_what_is_no_reference(bad):
    with pytest.raises(ImageError) as caught:
        split(bad)
    assert caught.value.reason == "InvalidImageName"


@pytest.mark.parametrize(
    ("reference", "environment"),
    [
        ("argosy/runtime:dev", "runtime"),
        ("argosy/torch", "torch"),
        ("ghcr.io/mlflow/mlflow:v3.17.2", "mlflow"),
        ("kubeflow/pytorch-dist-mnist:latest", "torch"),
        ("docker.io/kubeflow/pytorch-dist-mnist:latest", "torch"),
        ("pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime", "torch"),
        ("gcr.io/k8s-staging-jobset/pytorch-mnist:latest", "torch"),
        ("kserve/huggingfaceserver:latest", "torch"),
        ("jupyter/scipy-notebook", "jupyter"),
        ("alpine:3.10", "host"),
        ("registry.k8s.io/pause:3.10.1", "host"),
        ("python:3.11", "python"),
        ("rayproject/ray:2.52.0", "ray"),
        ("bash", "host"),
    ],
)
def test_the_catalogue_knows(reference, environment):
    assert find(CATALOGUE, reference, "f").environment == environment


def test_an_unmapped_image_says_how():
    with pytest.raises(ImageError) as caught:
        find(CATALOGUE, "ghcr.io/me/app:1", "/home/me/.argosy/images.yaml")
    assert "add to /home/me/.argosy/images.yaml: images: [{match: ghcr.io/me/app, environment: torch}]" in str(
        caught.value
    )


def test_the_users_catalogue_comes_first(tmp_path):
    file = tmp_path / "images.yaml"
    file.write_text(
        "environments: {mine: {requirements: [x==1], parent: torch}}\n"
        "images: [{match: 'busybox:2', environment: mine}, {match: [me/*, you/*], environment: mine}]\n"
    )
    catalogue = CatalogueFiles(file).current()
    assert find(catalogue, "busybox:2", "f").environment == "mine"
    assert find(catalogue, "busybox:1", "f").environment == "host"
    assert find(catalogue, "you/that", "f").environment == "mine"
    assert [e.name for e in catalogue.line("mine")] == ["mine", "torch"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("images: [{match: a, environment: none}]", "names the environment 'none'"),
        ("images: [{match: a}]", "needs `match` and `environment`"),
        ("environments: {a: {kind: docker}}", "use host, interpreter or venv"),
        ("environments: {a: {parent: b}}", "names the parent 'b'"),
        ("[", "is not YAML"),
        ("just text", "must be a mapping"),
    ],
)
def test_a_catalogue_that_makes_no_sense(tmp_path, text, sentence):
    (tmp_path / "images.yaml").write_text(text)
    with pytest.raises(CatalogueError, match=sentence):
        CatalogueFiles(tmp_path / "images.yaml").current()
    images = Images(tmp_path)
    with pytest.raises(ImageError, match=r"images\.yaml"):
        images.present("busybox")


def test_an_environment_cannot_be_its_own_ancestor():
    catalogue = read({"environments": {"a": {"parent": "b"}, "b": {"parent": "a"}}})
    with pytest.raises(CatalogueError, match="its own ancestor"):
        catalogue.line("a")


def test_addresses_tell_everything_apart():
    here = Platform("3.11.7", "cpython-311-linux")
    torch, child = Environment("t", "venv", ("torch==1",), torch=True), Environment("c", "venv", ("x",), parent="t")
    addresses = {
        address((torch,), here),
        address((torch,), Platform("3.11.8", "cpython-311-linux")),
        address((torch,), Platform("3.11.7", "cpython-311-linux", "cuda")),
        address((child, torch), here),
        address((child,), here),
        address((Environment("t", "venv", ("torch==2",), torch=True),), here),
    }
    assert len(addresses) == 6
    renamed = Environment("other", "venv", ("torch==1",), torch=True)
    assert address((renamed,), here) == address((torch,), here)


def test_another_python_is_said():
    assert (
        other_python("python:3.12-slim", "3.11.7")
        == "the image python:3.12-slim runs on this machine's Python 3.11.7, not on 3.12"
    )
    assert other_python("python:3.11", "3.11.7") == ""
    assert other_python("python", "3.11.7") == ""
    assert other_python("alpine:3.10", "3.11.7") == ""


def test_pips_configuration_in_uvs_words():
    listing = (
        "global.index-url='https://a/simple'\nglobal.extra-index-url='https://b https://c'\nfreeze.timeout='10'\n"
        "install.find-links='/w'\n:env:.index-url='https://env'\n:env:.disable-pip-version-check='1'\nglobal.cert='/ca'\n"
    )
    config = installers.translate(installers.parse_config(listing))
    text = " ".join(config.arguments)
    assert "--default-index https://env" in text
    assert "--index https://b --index https://c" in text
    assert "--find-links /w" in text
    assert config.environment == {"SSL_CERT_FILE": "/ca"}
    assert config.untranslatable == ()
    assert installers.translate({"client-cert": "x"}).untranslatable == ("client-cert",)


def test_the_line_that_says_what_went_wrong():
    said = ["Collecting x", "ERROR: No matching distribution found for x==9", "", "[notice] A new release of pip"]
    assert installers.meaningful(said) == "No matching distribution found for x==9"
    assert installers.meaningful([]) == "the installer said nothing"


def test_which_torch():
    plain = '{"install": [{"metadata": {"version": "2.13.0", "requires_dist": ["nvidia-cublas>1; platform_system == \\"Linux\\""]}}]}'
    cpu = '{"install": [{"metadata": {"version": "2.13.0+cpu", "requires_dist": ["sympy", "nvidia-x; extra == \\"gpu\\""]}}]}'
    assert installers.read_report(plain).nvidia
    assert not installers.read_report(cpu).nvidia
    assert installers.read_report("nonsense") is None
    assert installers.cpu_requirement("torch==2.13.0") == "torch==2.13.0+cpu"
    assert installers.cpu_requirement("torch>=2") == "torch>=2"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ({"torch==2.0": False}, ("torch==2.0", "")),
        ({"torch==2.0": True, "torch==2.0+cpu": False}, ("torch==2.0+cpu", installers.TORCH_CPU_INDEX)),
        ({"torch==2.0": True}, ("torch==2.0", "")),  # PyTorch's own index is out of reach
        ({}, ("torch==2.0+cpu", installers.TORCH_CPU_INDEX)),
    ],
)
def test_the_build_without_cuda_is_preferred_to_one_that_brings_it(offered, chosen):
    def found(*arguments):
        nvidia = offered.get(arguments[-1])
        return None if nvidia is None else installers.TorchBuild("2.0", nvidia)

    assert installers.torch_build("torch==2.0", nvidia=False, found=found) == chosen
    assert installers.torch_build("torch==2.0", nvidia=True, found=found) == ("torch==2.0", "")


def wheel(directory, name, version, requires=()):
    """A package with one module that tells its version."""
    info = f"{name}-{version}.dist-info"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    path = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"version = {version!r}\n")
        archive.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """pip that knows three packages and no network."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel(wheels, "aaa", "1.0")
    wheel(wheels, "bbb", "2.0", ["aaa"])
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\nno-index = true\nfind-links = {wheels}\n")
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    (tmp_path / "images.yaml").write_text(
        "environments:\n"
        "  one: {requirements: [aaa==1.0], warm: [aaa]}\n"
        "  two: {requirements: [bbb], parent: one}\n"
        "  bad: {requirements: [aaa==9]}\n"
        "images:\n"
        "  - {match: one, environment: one}\n"
        "  - {match: two, environment: two, command: [python, -c, 'import bbb']}\n"
        "  - {match: bad, environment: bad}\n"
    )
    return tmp_path


def python_of(image, code):
    done = subprocess.run(
        [f"{image.path_entries[0]}/python", "-c", code], capture_output=True, text=True, check=True, env=dict(image.env)
    )
    return done.stdout.strip()


def test_environments_are_built_once_and_layered(offline):
    async def scenario():
        images = Images(offline)
        assert images.present("one") is None
        pulling = []
        first, second = await asyncio.gather(
            images.get("one", lambda: pulling.append(1)), images.get("two", lambda: pulling.append(2))
        )
        assert sorted(pulling) == [1, 2]
        assert first.seconds > 0
        assert first.bytes > 0
        assert images.progress() == []
        again = Images(offline).present("two")
        assert again is not None
        assert again.image.digest == second.image.digest
        assert again.image.command == ("python", "-c", "import bbb")
        await images.close()
        return first.image, second.image

    one, two = asyncio.run(scenario())
    assert python_of(one, "import aaa, argosy; print(aaa.version)") == "1.0"
    assert python_of(two, "import aaa, bbb; print(aaa.__file__)").startswith(one.path_entries[0].removesuffix("/bin"))
    assert python_of(two, "import sys; print(sys.version_info[:2])") == str(sys.version_info[:2])
    assert not list(Path(two.path_entries[0]).parent.rglob("aaa.py")), "the child has no copy of its parent's packages"
    assert list(Path(one.path_entries[0]).parent.rglob("__pycache__/aaa.*.pyc")), "what pods import is compiled"


def test_an_interrupted_build_is_done_again(offline):
    async def scenario():
        images = Images(offline)
        built = (await images.get("one")).image
        place = Path(built.path_entries[0]).parent
        (place / ".complete").unlink()
        (place / "half").write_text("")
        fresh = Images(offline)
        assert fresh.present("one") is None
        await fresh.get("one")
        assert not (place / "half").exists()
        await images.close()
        await fresh.close()

    asyncio.run(scenario())


def test_a_failed_build_says_why_in_the_installers_words(offline):
    async def scenario():
        images = Images(offline)
        with pytest.raises(ImageError, match=r"the environment bad could not be installed: .*aaa==9") as caught:
            await images.get("bad")
        assert caught.value.reason == "ErrImagePull"
        assert not [p for p in (offline / "images").iterdir() if p.is_dir() and len(p.name) == 64]
        await images.close()

    asyncio.run(scenario())


def test_a_pod_s_requirements_are_an_environment_on_top_of_its_image(offline):
    wheel(offline / "wheels", "aaa", "1.1")

    async def scenario():
        images = Images(offline)
        more = (await images.get("one", requirements="bbb\n")).image
        other = (await images.get("one", requirements="aaa==1.1\n")).image
        assert images.present("one", "bbb\n").image is more
        assert images.present("busybox", "bbb\n").image.digest == images.present("busybox").image.digest
        with pytest.raises(ImageError, match=r"one with requirements could not be installed: .*nothing==1"):
            await images.get("one", requirements="nothing==1\n")
        await images.close()
        return images.present("one").image, more, other

    one, more, other = asyncio.run(scenario())
    assert python_of(more, "import aaa, bbb; print(aaa.__file__)").startswith(one.path_entries[0].removesuffix("/bin"))
    assert python_of(other, "import aaa; print(aaa.version)") == "1.1"
    assert more.env["ARGOSY_REQUIREMENTS"] == hashlib.sha256(b"bbb\n").hexdigest()
    assert "ARGOSY_REQUIREMENTS" not in one.env
