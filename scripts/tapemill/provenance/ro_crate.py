"""Builder of `ro-crate-metadata.json`: the tape's folder as a Workflow Run RO-Crate, for archives and their programs.

Profile: Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5) on RO-Crate 1.1. It names inputs and
results, time and programs; all details are in `provenance.json`, which is a part of it. Captures and models
lie outside the folder: they are described, by hash and name, and not contained.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .model import Provenance

if TYPE_CHECKING:
    from rocrate.model.entity import Entity
    from rocrate.rocrate import ROCrate

SPECIFICATION: Final = "1.1"
TERMS: Final = "https://w3id.org/ro/terms/workflow-run/context"
PROFILES: Final = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
MAIN_PROFILE: Final = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
# https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE
WORKFLOW_PROFILE: Final = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
FORMATS: Final = {
    **{"mkv": "video/x-matroska", "mp4": "video/mp4", "srt": "application/x-subrip", "vtt": "text/vtt"},
    **{"json": "application/json", "tsv": "text/tab-separated-values"},
}
HOMES: Final = {
    "av": "https://github.com/PyAV-Org/PyAV",
    "ffmpeg": "https://ffmpeg.org/",
    "numpy": "https://numpy.org/",
    "openai-whisper": "https://github.com/openai/whisper",
    "silero-vad": "https://github.com/snakers4/silero-vad",
    "spandrel": "https://github.com/chaiNNer-org/spandrel",
    "torch": "https://pytorch.org/",
    "torchvision": "https://pytorch.org/vision/",
}
DESCRIPTIONS: Final = {
    "capture.json": "Properties of the capture",
    "scenes.tsv": "The scenes, as frame ranges of the capture",
    "provenance.json": "How the tape was made: settings, models, programs, commands, and when each job ran where",
}


def crate(document: Provenance, *, folder: Path, workflow: str) -> dict[str, Any]:
    """Build the metadata, as JSON values; the same for the same document.

    `workflow` is the name of the Snakefile's copy in the tape's `folder`.
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    made = ROCrate(version=SPECIFICATION)
    made.metadata.extra_contexts.append(TERMS)
    made.metadata["conformsTo"] = [{"@id": made.metadata.profile}, {"@id": MAIN_PROFILE}]
    for address, (name, version) in PROFILES.items():
        profile = {"@type": "CreativeWork", "name": name, "version": version}
        made.root_dataset.append_to("conformsTo", made.add(ContextEntity(made, address, properties=profile)))
    _describe_root(made, document)
    main = _workflow(made, document, workflow)
    inputs = [*_captures(made, document), *_models(made, document)]
    results = list(_results(made, document))
    for name, description in DESCRIPTIONS.items():
        if name == "provenance.json" or (folder / name).is_file():
            kind = Path(name).suffix.removeprefix(".")
            made.add_file(dest_path=name, properties={"name": description, "encodingFormat": FORMATS[kind]})
    run = document.run
    action = {
        "@type": "CreateAction",
        "name": f"Restoration of the tape {document.tape}",
        "description": "Settings, command lines and the work on each scene are in provenance.json.",
        "endTime": run.ended,
        "actionStatus": "http://schema.org/CompletedActionStatus",
        **({"startTime": run.started} if run.started else {}),
    }
    done = made.add(ContextEntity(made, "#restoration", properties=action))
    done["instrument"] = main
    done["object"] = inputs
    done["result"] = results
    made.root_dataset["mentions"] = done
    made.dereference("provenance.json")["about"] = done
    return dict(made.metadata.generate())


def _describe_root(made: ROCrate, document: Provenance) -> None:
    from rocrate.model.contextentity import ContextEntity

    sheet = document.how.sheet
    made.name = sheet.title or document.tape
    made.description = f"The restored tape {document.tape}, its subtitles, and how it was made."
    # The library would take the present time.
    made.datePublished = document.run.ended
    if sheet.date:
        made.root_dataset["temporalCoverage"] = sheet.date
    stated = {
        "@type": "CreativeWork",
        "name": "No licence is given",
        "description": "A private recording. Its owner decides who may use it.",
    }
    made.license = made.add(ContextEntity(made, "#no-licence", properties=stated))


def _workflow(made: ROCrate, document: Provenance, workflow: str) -> Entity:
    from rocrate.model.contextentity import ContextEntity
    from rocrate.model.softwareapplication import SoftwareApplication

    state, environment = document.how.tapemill, document.run.environment
    commit = document.run.checkout.commit
    main = made.add_workflow(
        dest_path=workflow,
        main=True,
        lang="snakemake",
        lang_version=environment.packages["snakemake"],
        properties={
            "name": "Tapemill",
            "description": "Restores digitised home-video tapes. The rules and the library that this file includes are"
            " those of the version and commit named here.",
            "version": state.version + (f"+{commit}" if commit else ""),
            "encodingFormat": "text/plain",
        },
    )
    profile = {"@type": "CreativeWork", "name": "Bioschemas ComputationalWorkflow", "version": "1.0-RELEASE"}
    main["conformsTo"] = made.add(ContextEntity(made, WORKFLOW_PROFILE, properties=profile))
    needed = []
    for name, versions in _programs(document).items():
        # A package URL (github.com/package-url/purl-spec) for those without a page of their own.
        home = HOMES.get(name, f"pkg:pypi/{name}")
        properties = {"name": name, "url": home, "softwareVersion": ", ".join(versions)}
        needed.append(made.add(SoftwareApplication(made, home, properties=properties)))
    main["softwareRequirements"] = needed
    return main


def _programs(document: Provenance) -> dict[str, list[str]]:
    """All programs that worked on the tape, with their versions."""
    found: dict[str, set[str]] = {}
    for named in document.how.programs.values():
        for name, versions in named.items():
            found.setdefault(name, set()).update(versions)
    return {name: sorted(found[name]) for name in sorted(found)}


def _captures(made: ROCrate, document: Provenance) -> Iterable[Entity]:
    hashes, names = document.how.capture.files, document.places.capture
    for number, (file, name) in enumerate(zip(hashes, names, strict=True), 1):
        yield _outside(made, f"#capture-{number}", name, "The capture", file.sha256, size_bytes=file.size_bytes)


def _models(made: ROCrate, document: Provenance) -> Iterable[Entity]:
    for model in document.how.models:
        used_for = f"The model for {model.used_for}"
        yield _outside(made, f"#model-{model.sha256[:16]}", model.name, used_for, model.sha256)


def _outside(
    made: ROCrate, identifier: str, name: str, description: str, sha256: str, *, size_bytes: int | None = None
) -> Entity:
    """A file that is described, and not contained."""
    from rocrate.model.contextentity import ContextEntity

    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    properties = {
        "@type": "File",
        "name": name,
        "description": description,
        "encodingFormat": kind,
        "sha256": sha256,
    }
    if size_bytes is not None:
        properties["contentSize"] = str(size_bytes)
    return made.add(ContextEntity(made, identifier, properties=properties))


def _results(made: ROCrate, document: Provenance) -> Iterable[Entity]:
    for result, name in zip(document.results, document.places.results, strict=True):
        kind = result.kind
        what = "The restored tape" if kind in ("mkv", "mp4") else f"Its subtitles ({kind})"
        yield made.add_file(
            dest_path=name,
            properties={
                "name": what,
                "encodingFormat": FORMATS[kind.rpartition(".")[2]],
                "contentSize": str(result.size_bytes),
                "sha256": result.sha256,
            },
        )
