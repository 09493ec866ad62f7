"""What a release promises in several places is the same in all of them."""

import configparser
import re
from pathlib import Path

import skflowmix

ROOT = Path(__file__).parents[1]
SITE, SOURCE = "https://skflowmix.readthedocs.io", "https://github.com/skflowmix/skflowmix"
RAW = "https://raw.githubusercontent.com/skflowmix/skflowmix/main/"


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def metadata():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_version_is_one():
    version = re.escape(skflowmix.__version__)
    assert re.search(rf"(?m)^version: {version}$", read("CITATION.cff"))
    assert re.search(rf'version = "{version}"', read("conda/meta.yaml"))
    assert re.search(rf"(?m)^## {version} - \d{{4}}-\d\d-\d\d$", read("CHANGELOG.md"))


def test_conda_recipe_requires_what_pip_does():
    options = metadata()["options"]
    required = [line.replace("torch", "pytorch") for line in options["install_requires"].split()]
    recipe = read("conda/meta.yaml").replace(" >=", ">=")
    assert len(required) == 4
    assert [line for line in required if f"- {line}" not in recipe] == []
    assert f"- python{options['python_requires']}" in recipe


def test_each_minor_version_of_python_has_a_classifier():
    named = re.findall(r"Python :: 3\.(\d+)", metadata()["metadata"]["classifiers"])
    oldest = int(metadata()["options"]["python_requires"].rpartition(".")[2])
    assert [int(minor) for minor in named] == list(range(oldest, oldest + len(named)))


def test_links_of_the_readme_work_outside_the_repository():
    text = read("README.md")
    links = re.findall(r"(?m)^\[\S+\]: (\S+)$", text) + re.findall(r"\]\((\S+?)\)", text)
    assert [link for link in links if not link.startswith("https://")] == []
    inside = [link for link in links if link.startswith((SOURCE + "/blob/main/", SOURCE + "/tree/main/", RAW))]
    assert inside
    files = [re.sub(rf"^({RAW}|{SOURCE}/(blob|tree)/main/)", "", link).partition("#")[0] for link in inside]
    assert [file for file in files if not (ROOT / file).exists()] == []
    assert set(re.findall(r"\]\[(\w+)\]", text)) == set(re.findall(r"(?m)^\[(\w+)\]: ", text))


def test_addresses_are_the_same_everywhere():
    parser = metadata()["metadata"]
    assert parser["url"] == SITE
    for text in (parser["project_urls"], read("CITATION.cff"), read("conda/meta.yaml"), read("README.md")):
        assert SITE in text
        assert SOURCE in text
