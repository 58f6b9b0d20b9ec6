"""The speed of the page: a slider's move is answered within a frame, and no task blocks it.

A machine that is shared makes every page slow by the clock. So the page's own time on the processor
is held on every machine, and the time by the clock where the browser is required, as in CI.
"""

from __future__ import annotations

import os
from statistics import median
from typing import Any

import pytest
from stand_ins.browser import REQUIRED

N_MOVES = 200
FRAME_MS = 16.0
LONG_TASK_MS = 50.0
ROUNDS = 4
"""Of which the best counts by the clock."""

VIEWS = {
    "first view": "",
    "curve and ranking of 240 kernels": "#gpu=rtx2080ti&dtype=f16&x=k",
    "two GPUs": "#gpu=h200_sxm&dtype=fp8&vs=b200_sxm&x=n&y=power",
}

MOVE = """async (i) => {
    const slider = document.getElementById("x-m-slider");
    const answered = new Promise((done) => {
        const watch = new MutationObserver(() => (watch.disconnect(), done(performance.now())));
        const all = { subtree: true, childList: true, characterData: true };
        watch.observe(document.getElementById("x-cards"), all);
    });
    const begin = performance.now();
    slider.value = String(20 + ((i * 37) % 90));
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    return (await answered) - begin;
}"""

MOVES = f"""async (nMoves) => {{
    const move = {MOVE};
    const longTasks = [];
    const observer = new PerformanceObserver((list) => longTasks.push(...list.getEntries()));
    observer.observe({{ type: "longtask" }});
    const times = [];
    for (let i = 0; i < nMoves; i++) {{
        times.push(await move(i));
        await new Promise((done) => requestAnimationFrame(done));
    }}
    await new Promise((done) => setTimeout(done, 300));
    observer.disconnect();
    return {{ times, longest: Math.max(0, ...longTasks.map((one) => one.duration)) }};
}}"""


@pytest.mark.skipif(os.environ.get(REQUIRED) != "1", reason=f"by the clock with {REQUIRED}=1 alone")
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_move_of_a_slider_is_answered_within_a_frame_and_no_task_is_long(
    open_explorer: Any, view: str
) -> None:
    rounds = []
    with open_explorer(view) as tab:
        tab.wait_for_selector("#x-chart svg")
        for _ in range(ROUNDS):
            told = tab.evaluate(MOVES, N_MOVES)
            rounds.append((median(told["times"]), told["longest"]))
            if rounds[-1][0] < FRAME_MS and rounds[-1][1] <= LONG_TASK_MS:
                break
    assert min(time for time, _ in rounds) < FRAME_MS, rounds
    assert min(longest for _, longest in rounds) <= LONG_TASK_MS, rounds


class MainThread:
    """The processor time that the page's own thread has used, in milliseconds."""

    def __init__(self, tab: Any) -> None:
        self._session = tab.context.new_cdp_session(tab)
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def used_ms(self) -> float:
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return 1e3 * next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_all_tasks_of_a_move_together_are_shorter_than_a_long_one(
    open_explorer: Any, view: str
) -> None:
    used = []
    with open_explorer(view) as tab:
        tab.wait_for_selector("#x-chart svg")
        thread = MainThread(tab)
        for i in range(40):
            before = thread.used_ms()
            tab.evaluate(MOVE, i)
            tab.wait_for_timeout(40)
            used.append(thread.used_ms() - before)
    assert 0.0 < median(used) < FRAME_MS, used
    assert max(used) < LONG_TASK_MS, used


def test_to_unpack_another_gpu_takes_no_long_task_of_the_page(open_explorer: Any) -> None:
    with open_explorer() as tab:
        thread = MainThread(tab)
        before = thread.used_ms()
        tab.evaluate("gpperf.predict('gb200', [{ m: 64, n: 64, k: 64, dtype: 'bf16' }])")
        assert thread.used_ms() - before < LONG_TASK_MS
