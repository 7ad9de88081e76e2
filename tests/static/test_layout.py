"""The house rules that can be checked by a machine."""

import ast
import re
import sys

import pytest
import yaml

from tapemill.config.schema import SCHEMAS, schema
from tests.support.project import ROOT

RULE_FILES = sorted((ROOT / "rules").glob("*.smk"))
RULE = re.compile(r"^(?:rule|checkpoint) (\w+):\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
SLOTS = ["input", "output", "log", "benchmark", "group", "threads", "resources", "params", "message", "conda", "script"]
RULES = {name: (file, body) for file in RULE_FILES for name, body in RULE.findall(file.read_text())}
STAGES = ["capture", "scenes", "audio", "subtitles", "enhance", "tape"]
NETWORK = ("enhance", "vrt")
HEAVY = {"torch", "torchvision", "spandrel", "safetensors", "whisper"}
HEAVY |= {"cv2", "scenedetect", "silero_vad", "jiwer", "numba"}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_its_slots_in_order_a_log_and_a_script_of_its_name(name):
    _, body = RULES[name]
    slots = re.findall(r"^    (\w+):", body, re.MULTILINE)
    assert [slot for slot in slots if slot in SLOTS] == sorted((s for s in slots if s in SLOTS), key=SLOTS.index)
    assert {"log", "message", "conda", "script"} <= set(slots)
    assert f'"../scripts/{name}.py"' in body
    assert f'"logs/{name}/' in body
    assert body.lstrip().startswith('"""')
    assert len(body.splitlines()) <= 40


def test_params_come_from_wildcards_alone():
    # Snakemake leaves what is derived from input, output or resources out of the params it compares (rules.py,
    # `non_derived_params`): a changed setting or capture would go unnoticed.
    for file in RULE_FILES:
        assert not re.findall(r"^def \w+\(wildcards, .*", file.read_text(), re.MULTILINE), file
        assert not re.findall(r"lambda wildcards, .*", file.read_text()), file


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.name)
def test_a_rule_file_opens_with_its_contract(file):
    text = file.read_text()
    assert text.startswith('"""\n')
    if file.name != "common.smk":
        assert "\nINPUT " in text
        assert "\nOUTPUT " in text


def test_every_script_belongs_to_a_rule_and_is_thin():
    scripts = {path.stem: path for path in (ROOT / "scripts").glob("*.py")}
    assert set(scripts) == set(RULES)
    for path in scripts.values():
        lines = path.read_text().splitlines()
        assert len(lines) <= 30, path
        assert "entrypoint.run_job(main, snakemake)" in lines[-1]


def test_one_word_a_stage():
    for stage in STAGES:
        assert (ROOT / "rules" / f"{stage}.smk").exists()
        package = ROOT / "scripts" / "tapemill" / stage
        assert package.is_dir() or package.with_suffix(".py").exists()
        assert schema("config")["properties"][stage]["type"] == "object"


def modules():
    base = ROOT / "scripts" / "tapemill"
    return {path.relative_to(base).with_suffix("").parts: path for path in base.rglob("*.py")}


def imports(path, *, top_level_only=False):
    tree = ast.parse(path.read_text())
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            stem = node.module.split(".") if node.module else []
            yield from ((node.level, [*stem, alias.name]) for alias in node.names)


# Packages in layers: a package imports packages of lower layers only. docs/architecture.md explains the table.
LAYERS = {
    "core": 0,
    "storage": 1,
    "config": 2,
    "media": 3,
    "process": 3,
    "snakemake_compat": 3,
    "models": 4,
    "records": 4,
    "events": 4,
    "devices": 5,
    "jobs": 5,
    **dict.fromkeys(STAGES, 6),
    "lanes": 6,
    "provenance": 7,
    "workflow": 7,
    "report": 8,
    "planning": 8,
    "verification": 8,
    "cluster": 8,
    "run": 9,
    "doctor": 10,
    "cli": 11,
}


def imported_packages(parts, path):
    """Packages of the library that a module imports, with the module's own left out."""
    for level, name in imports(path):
        inside = parts[:-1] if level == 1 else parts[: len(parts) - level]
        target = [*inside, *name] if level else name[1:] if name[0] == "tapemill" else []
        if target and target[0] in LAYERS and target[0] != parts[0]:
            yield target[0]


def test_every_module_lies_in_a_package_with_a_layer():
    packages = {parts[0] for parts in modules() if len(parts) > 1}
    assert packages == set(LAYERS)
    assert {parts for parts in modules() if len(parts) == 1} == {("__init__",), ("__main__",)}


@pytest.mark.parametrize("package", LAYERS)
def test_packages_import_lower_layers_only(package):
    upward = set()
    for parts, path in modules().items():
        for target in imported_packages(parts, path) if parts[0] == package else ():
            if LAYERS[target] >= LAYERS[package]:
                upward.add(f"{'.'.join(parts)} imports {target}")
    assert not upward


# Attributes that begin with `_` of the standard library and of packages other than Snakemake.
OF_OTHERS = re.compile(r"os\._exit|torch\._|tensor\._version|whisper\._|__\w+__")


def test_only_snakemake_compat_touches_private_attributes():
    touched = []
    plugin = (ROOT / "scripts" / "snakemake_scheduler_plugin_lanes").glob("*.py")
    for path in [*modules().values(), *plugin]:
        if "snakemake_compat" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
                text = ast.unparse(node)
                if not text.startswith(("self._", "cls._", "super()._")) and not OF_OTHERS.search(text):
                    touched.append(f"{path.name}, line {node.lineno}: {text}")
    assert not touched


def test_every_patch_of_snakemake_has_a_report_for_upstream():
    patches = {path.name for path in (ROOT / "scripts" / "tapemill" / "snakemake_compat").glob("*.py")}
    patches -= {"__init__.py", "planning.py", "version.py"}
    reports = [path.read_text() for path in (ROOT / "docs" / "upstream").glob("*.md")]
    assert all("**Version:**" in report and "**Expected.**" in report for report in reports)
    named = set(re.findall(r"snakemake_compat/([\w/]+(?:\.py)?)", "".join(reports)))
    assert named == patches | {"groups/"}


def test_about_twelve_files_in_a_folder():
    base = ROOT / "scripts" / "tapemill"
    for folder in {base, *(path.parent for path in base.rglob("*.py"))}:
        assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= 15, folder


def test_the_library_knows_nothing_of_what_lies_outside_it():
    for path in modules().values():
        assert not {name[0] for level, name in imports(path) if not level} & {"demo", "tools", "tests"}, path


def errors_of_ours():
    """Names of all subclasses of TapemillError, wherever they are defined."""
    known = {"TapemillError"}
    classes = [node for path in modules().values() for node in ast.walk(ast.parse(path.read_text()))]
    classes = [node for node in classes if isinstance(node, ast.ClassDef)]
    while True:
        more = {node.name for node in classes for base in node.bases if isinstance(base, ast.Name) and base.id in known}
        if more <= known:
            return known
        known |= more


def test_every_error_says_what_to_do():
    names = errors_of_ours()
    assert {"GateError", "DeviceError"} <= names
    silent = []
    for parts, path in modules().items():
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        for call in calls if parts[0] != "demo" else ():
            if getattr(call.func, "id", None) in names and "remedy" not in {word.arg for word in call.keywords}:
                silent.append(f"{path}, line {call.lineno}")
    assert not silent


def test_heavy_packages_are_imported_in_functions_only():
    for parts, path in modules().items():
        found = {name[0] for level, name in imports(path, top_level_only=True) if not level} & HEAVY
        # A network is made of torch's classes. Its modules say so, and the test below that nobody imports them early.
        said = " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split())
        if parts[: len(NETWORK)] == NETWORK and "it imports torch." in said:
            found -= {"torch"}
        assert not found or "demo" in path.parts, f"{path} imports {found} at its top"


def test_parsing_needs_no_heavy_package():
    code = (
        "import sys; import tapemill.config.schema;"
        "import tapemill.scenes, tapemill.audio, tapemill.subtitles, tapemill.enhance,"
        "tapemill.enhance.vrt.checkpoints, tapemill.enhance.vrt.memory,"
        "tapemill.tape, tapemill.models, tapemill.storage.atomic, tapemill.media.capture_info;"
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT / "scripts", check=True
    )
    assert done.stdout.strip() == "[]"


def test_no_profile_overrides_all_others():
    assert not (ROOT / "profiles" / "default").exists()
    assert (ROOT / "arc2").is_symlink()
    assert (ROOT / "arc2" / "config.yaml").read_text() == (ROOT / "profiles" / "arc2" / "config.yaml").read_text()


def test_every_profile_keeps_what_the_design_depends_on():
    for path in (ROOT / "profiles").glob("*/config.yaml"):
        profile = yaml.safe_load(path.read_text())
        assert profile["rerun-triggers"] == ["mtime", "params", "input"], path
        assert profile["nolock"] is True
        assert profile["rerun-incomplete"] is True
        assert profile["keep-going"] is True
        assert profile["retries"] == 3, path


def test_a_cluster_is_asked_for_memory_and_time_by_every_job_and_more_at_each_attempt():
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
    assert profile["executor"] == "slurm"
    assert all("attempt" in profile["default-resources"][name] for name in ("mem_mb", "runtime"))
    # Slurm hands out the cards.
    assert "resources" not in profile
    for name, (_, body) in RULES.items():
        assert body.count("CLUSTER_RESOURCES.mem_mb") == body.count("CLUSTER_RESOURCES.minutes"), name
    for name in ("cut_scene", "enhance_scene", "transcribe_scene", "mux_tape"):
        assert "runtime=CLUSTER_RESOURCES.minutes" in RULES[name][1]


def test_no_other_profile_limits_what_a_cluster_is_asked_for():
    for path in (ROOT / "profiles").glob("*/config.yaml"):
        profile = yaml.safe_load(path.read_text())
        if profile.get("executor", "local") == "local":
            assert not {"mem_mb", "runtime"} & set(profile.get("resources", {})), path
            assert "default-resources" not in profile, path


def test_no_rule_has_retries_of_its_own():
    # They would hide those of the profile, and `--retries` of the command line.
    assert not [name for name, (_, body) in RULES.items() if re.search(r"^    retries:", body, re.MULTILINE)]


def test_environment_files_pin_what_the_lock_pins():
    lock = {
        name.lower().replace("_", "-"): version
        for name, _, version in (line.partition("==") for line in (ROOT / "requirements.lock").read_text().splitlines())
        if version
    }
    for path in (ROOT / "envs").glob("*.yaml"):
        pins = next(
            entry["pip"] for entry in yaml.safe_load(path.read_text())["dependencies"] if isinstance(entry, dict)
        )
        for pin in pins:
            name, _, version = pin.partition("==")
            assert lock[name.lower()] == version, f"{path}: {pin}"


def test_the_lock_holds_every_direct_dependency_and_torch_exactly():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    lock = (ROOT / "requirements.lock").read_text().lower()
    for requirement in wanted:
        name = re.split(r"[<>=]", requirement)[0].lower()
        assert re.search(rf"^{name.replace('-', '[-_]')}==", lock, re.MULTILINE), requirement
    assert "torch==2.13.0\n" in lock


def test_schemas_are_valid_schemas():
    import jsonschema

    for path in SCHEMAS.glob("*.yaml"):
        jsonschema.Draft202012Validator.check_schema(yaml.safe_load(path.read_text()))


def test_the_snakefile_is_a_table_of_contents():
    text = (ROOT / "Snakefile").read_text()
    assert len(text.splitlines()) <= 60
    assert set(re.findall(r'include: "rules/(\w+)\.smk"', text)) == {path.stem for path in RULE_FILES}
    assert len((ROOT / "rules" / "common.smk").read_text().splitlines()) <= 150


def test_environment_variables_between_processes_have_unique_names():
    source = "\n".join(path.read_text() for path in (ROOT / "scripts").rglob("*.py"))
    names = re.findall(r'^(?:\w+_)?VARIABLE\b.* = "(\w+)"', source, re.MULTILINE)
    assert len(names) > 1
    assert len(set(names)) == len(names), names


# Docstrings and names that withhold the noun (CONTRIBUTING.md): "What a run does", `tell`.
CLAUSE = re.compile(r"(What|How|Which|Where|Whether|When|Who|Why|If|Around)\b")
SPEECH_VERB = re.compile(r"(^|_)(tell|tells|told|telling|say|says|said|saying)(_|$)")
CODE = sorted(path for folder in ("scripts", "demo", "tools") for path in (ROOT / folder).rglob("*.py"))


def test_module_docstrings_begin_with_a_noun_or_an_imperative():
    first_lines = {path: (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0] for path in CODE}
    assert len(first_lines) > 250
    assert not {str(path.relative_to(ROOT)): line for path, line in first_lines.items() if CLAUSE.match(line)}


def test_functions_are_not_named_by_verbs_of_speech():
    found = []
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and SPEECH_VERB.search(
                node.name
            ):
                found.append(f"{path.relative_to(ROOT)}, line {node.lineno}: {node.name}")
    assert not found
