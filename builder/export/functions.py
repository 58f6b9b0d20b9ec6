"""The two functions of a form of the physical model, as statements of a language.

Between them the forests are asked. The first computes times and features of a question; the second
makes the answer of those times and of the sums of the forests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from gpperf_lite._estimator import TARGETS

from .answers import FIGURES
from .contents import Head
from .graph import Node, in_order
from .statements import VECTORS, Language, Statements
from .trace import QUESTION, Formulas

PHYSICS = ("base_s", "light_s", "compute_s", "memory_s", "macs_s", "dram_s", "launch_s", "beyond")
"""What the first function hands to the second."""

OUTSIDE = ("m", "n", "k", "batch", "runtime", "memory", "layout", "beta", "stand-in", "remark")
"""Ways to be out of the domain, in the order of their bits: first those of `KernelModel.strays`."""

_STAND_IN, _REMARK = OUTSIDE.index("stand-in"), OUTSIDE.index("remark")

_STRAYS = (0, 0, 1, 1, 2, 2, 3, 3, 4, 5)
_RUNTIME = {
    "runtime_s": "runtime_s",
    "runtime_low_s": "runtime_low_s",
    "runtime_high_s": "runtime_high_s",
    "sustained_runtime_s": "sustained_s",
}
_FIGURE_OF = {name: figure for figure, name in _RUNTIME.items()}
_POWER = ("power_w", "power_low_w", "power_high_w", "energy_j")


def outside_of(head: Head) -> int:
    """Return the bits of OUTSIDE that are set in all that a head answers."""
    return head.is_stand_in << _STAND_IN | head.has_remarks << _REMARK


def _times(formulas: Formulas) -> dict[str, Node]:
    """Return the fields of PHYSICS that every question has: all but the factor outside."""
    return {name: formulas.known[name] for name in PHYSICS if name != "beyond"}


def _ends(statements: Statements, language: Language, formulas: Formulas) -> list[list[str]]:
    """Return two texts for each way to stray: the first is greater just where that is outside."""
    unit = language.number.format("1.0")
    # A quotient above 1 is one of a greater number over a lesser; over 1 it was folded.
    return [
        statements.need(stray.args) if stray.op == "/" else [*statements.need([stray]), unit]
        for stray in formulas.strays
    ]


def _pairs(formulas: Formulas) -> dict[int, int]:
    """Return the other one of each column that is divided with another, both ways.

    They are quotients that nothing else needs.
    """
    roots = [*formulas.columns, *formulas.known.values(), *formulas.strays]
    needed = {id(one) for node in in_order(roots) for one in node.args}
    needed |= {id(one) for one in roots[len(formulas.columns) :]}
    alone = [
        number
        for number, node in enumerate(formulas.columns)
        if node.op == "/" and id(node) not in needed
    ]
    pairs = list(zip(alone[::2], alone[1::2], strict=False))
    return dict(pairs) | {other: one for one, other in pairs}


def _asked(nodes: Iterable[Node]) -> list[Node]:
    """Return the inputs that are of the question, not of a table of parameters."""
    return [one for one in in_order(nodes) if one.op == "input" and "[" not in one.value]


def describing(formulas: Formulas, language: Language) -> list[str]:
    """Return the lines that give features their places, and `physics` its fields."""
    statements = Statements(language)
    physics = {name: language.member.format("physics", name) for name in PHYSICS}
    outside = language.member.format("physics", "outside")
    times = _times(formulas)
    for one in _asked([*formulas.columns, *times.values(), *formulas.strays]):
        statements.give(one, language.member.format("ask", one.value))
    pairs = _pairs(formulas) if language.quotients else {}
    columns = {
        number: statements.need(node.args if number in pairs else [node])
        for number, node in enumerate(formulas.columns)
    }
    named = statements.need(times.values())
    ends = _ends(statements, language, formulas)
    lines = statements.take()
    for number, texts in columns.items():
        if number not in pairs:
            lines += [language.column.format(number=number, text=texts[0])]
        elif pairs[number] > number:
            other = pairs[number]
            lines += [language.quotients.format(number, *texts, other, *columns[other])]
    lines += [f"{physics[name]} = {text};" for name, text in zip(times, named, strict=True)]
    lines += [f"{physics['beyond']} = 1.0;", f"{outside} = 0;"]
    lines += ["if (" + " ||\n        ".join(f"{one} > {other}" for one, other in ends) + ") {"]
    (beyond,) = statements.need([formulas.known["beyond"]])
    lines += [f"    {line}" for line in statements.take()]
    lines += [f"    {physics['beyond']} = {beyond};"]
    for bit, stray in zip(_STRAYS, formulas.strays, strict=True):
        text, way = statements.text(stray), OUTSIDE[bit].upper()
        lines += ["    " + language.outside.format(text=text, way=way, bit=1 << bit)]
    return [*lines, "}"]


def describing_rows(formulas: Formulas) -> list[str]:
    """Return the lines of C that do the same for eight questions.

    What they return has a bit for each that lies outside of the domain, whose factor is not there.
    """
    statements = Statements(VECTORS)
    times = _times(formulas)
    for one in _asked([*formulas.columns, *times.values(), *formulas.strays]):
        is_size = one.value in QUESTION
        at = f"_mm512_loadu_pd(sizes[{QUESTION.index(one.value)}] + row)" if is_size else ""
        broadcast = VECTORS.number.format(f"ask->{one.value}")
        statements.lines.append(f"const __m512d {one.value} = {at or broadcast};")
        statements.give(one, one.value)
    columns = statements.need(formulas.columns)
    named = statements.need(times.values())
    ends = _ends(statements, VECTORS, formulas)
    lines = ["const __m512d ones = _mm512_set1_pd(1.0);", "__mmask8 is_outside = 0;"]
    lines += statements.take()
    lines += [VECTORS.column.format(number=n, text=text) for n, text in enumerate(columns)]
    lines += [f"_mm512_storeu_pd(times[{n}] + row, {text});" for n, text in enumerate(named)]
    lines += [f"is_outside |= _mm512_cmp_pd_mask({low}, {high}, _CMP_GT_OQ);" for low, high in ends]
    return [*lines, "return is_outside;"]


def finishing(
    formulas: Formulas, language: Language, field: Callable[[str], str] = str
) -> list[str]:
    """Return the lines that give `out` its fields; field: the name of one in the language."""
    statements = Statements(language, "w")
    for name in PHYSICS:
        if formulas.known[name].op != "constant":
            statements.give(formulas.known[name], language.member.format("physics", name))
    for one in _asked(formulas.answer.values()):
        # Sizes are known no more here: what needs them was worked out before.
        if one.value == "confidence":
            statements.give(one, language.member.format("ask", one.value))

    def told(fields: dict[str, str]) -> list[str]:
        texts = statements.need(formulas.answer[name] for name in fields.values())
        outs = [language.member.format("out", field(name)) for name in fields]
        given = [f"{out} = {text};" for out, text in zip(outs, texts, strict=True)]
        return statements.take() + given

    lines = told(_RUNTIME)
    if formulas.has_power:
        lines += [f"if ({language.member.format('head', 'power')} >= 0) {{"]
        lines += [f"    {line}" for line in told({name: name for name in _POWER})]
        lines += ["}"]
    return lines


def finishing_rows(formulas: Formulas) -> list[str]:
    """Return the lines of C that do the same for eight questions, each figure in a row of `told`.

    Only what they use is loaded: times from `times`, sums from `sums`.
    """
    statements = Statements(VECTORS, "w")
    for name in PHYSICS:
        if formulas.known[name].op != "constant":
            statements.give(formulas.known[name], name)

    def told(names: Iterable[str]) -> list[str]:
        texts = statements.need(formulas.answer[name] for name in names)
        places = (FIGURES.index(_FIGURE_OF.get(name, name)) for name in names)
        given = [
            f"_mm512_storeu_pd(told[{place}] + row, {text});"
            for place, text in zip(places, texts, strict=True)
        ]
        return statements.take() + given

    lines = told(_RUNTIME.values())
    if formulas.has_power:
        lines += ["if (head->power >= 0) {", *(f"    {line}" for line in told(_POWER)), "}"]
    used = set(re.findall(r"\w+", " ".join(lines)))
    times = [
        f"const __m512d {name} = _mm512_loadu_pd(times[{place}] + row);"
        for place, name in enumerate(PHYSICS)
        if name in used
    ]
    sums = [
        f"const __m512d {name} = gpperf__sums_at_vbmi(sums[{place}] + row);"
        for place, name in enumerate(TARGETS)
        if name in used
    ]
    ones = ["const __m512d ones = _mm512_set1_pd(1.0);"] if "ones" in used else []
    return [*ones, *times, *sums, *lines]
