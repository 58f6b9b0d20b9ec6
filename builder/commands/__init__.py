"""The commands of the command line, one a file: each parses its arguments and calls one stage.

COMMANDS has them in the order in which they are used: what works here, measuring, training,
judging, exporting. `obsolete` names the command that took the place of a former spelling.
"""

from . import (
    calibrate,
    collect,
    compile_sweep,
    doctor,
    evaluate,
    export,
    import_table,
    merge,
    models,
    plan,
    probe,
    report,
    table,
    train,
    visit,
)
from .command import Command
from .obsolete import successor

__all__ = ["COMMANDS", "Command", "successor"]

COMMANDS: tuple[Command, ...] = (
    doctor.COMMAND,
    probe.COMMAND,
    plan.COMMAND,
    compile_sweep.COMMAND,
    collect.COMMAND,
    merge.COMMAND,
    visit.COMMAND,
    import_table.COMMAND,
    table.COMMAND,
    train.COMMAND,
    calibrate.COMMAND,
    evaluate.COMMAND,
    report.COMMAND,
    models.COMMAND,
    export.COMMAND,
)
