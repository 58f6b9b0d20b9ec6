"""Templates: what is the same in every export, and the facts of a model that are put in.

A text @NAME@ in a file of the folder `templates` stands for a value.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap

import gpperf_lite

from .contents import Contents
from .source import Source, notes_of

_FOLDER = Path(__file__).parent / "templates"
_WIDTH = 100


def filled(name: str, **values: str) -> str:
    """Return the text of a template with its values."""
    text = (_FOLDER / name).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def bytes_of(name: str) -> bytes:
    """Return the bytes of a file of the folder that is put in as it is."""
    return (_FOLDER / name).read_bytes()


def facts_of(
    contents: Contents, source: Source, file: str, n_bytes: int, margin: str = "   "
) -> dict[str, str]:
    """Return the facts of a model that the head of a file states; margin: before each note.

    file: its name; n_bytes: of its tables.
    """
    artefact, dtypes = contents.artefact, list(contents.defaults)
    names = [kernel.name for kernel in artefact.kernels]
    notes = [
        line
        for note in notes_of(contents)
        for line in wrap(safe(note), _WIDTH, initial_indent=margin, subsequent_indent=f"{margin}  ")
    ]
    return {
        "FILE": file,
        "GPU": safe(artefact.gpu.name),
        "PACKAGE_VERSION": gpperf_lite.__version__,
        "FIRST_DTYPE": dtypes[0],
        "MODEL": safe(artefact.name),
        "VERSION": safe(artefact.version),
        "KNOWN_DTYPES": " ".join(dtypes),
        "N_KERNELS": str(len(names)),
        "SOME_KERNELS": safe(", ".join(names[:4])),
        "N_BYTES": f"{n_bytes:,}",
        "ARTEFACT_BYTES": f"{source.n_bytes:,}",
        "SHA256": source.sha256,
        "NOTES": "".join(f"{note}\n" for note in notes),
    }


def safe(text: str) -> str:
    """Return a text that ends no comment, in ASCII."""
    plain = text.encode("ascii", "replace").decode()
    return plain.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
