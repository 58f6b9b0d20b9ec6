"""The generated pages of `docs/`: accuracy, collections, unseen GPUs, noise, kernels and others.

Each `..._page` returns one page as Markdown. Those that are made of measured tables take the
recipe of the built-in models, the folder of its sources, and a number of processes; that of
collections the kept fits, too, that of kernels the compiled kernels; that of tiles the study's
table. `write_report` writes the report of one model, with its figures, as `ReportOptions` say.
"""

from .accuracy import accuracy_page, study_lines
from .collections import collection_lines, collections_page, summary_lines
from .dataset import dataset_page
from .evidence import REFIT_ROWS, ReportOptions
from .features import feature_page
from .kernels import kernels_page
from .noise import floor_lines, noise_page
from .report_page import Report, write_report
from .tiles import tile_lines, tiles_page
from .unseen import unseen_page
from .winners import winner_lines

__all__ = [
    "REFIT_ROWS",
    "Report",
    "ReportOptions",
    "accuracy_page",
    "collection_lines",
    "collections_page",
    "dataset_page",
    "feature_page",
    "floor_lines",
    "kernels_page",
    "noise_page",
    "study_lines",
    "summary_lines",
    "tile_lines",
    "tiles_page",
    "unseen_page",
    "winner_lines",
    "write_report",
]
