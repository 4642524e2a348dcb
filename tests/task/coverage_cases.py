"""Cells and batches drawn at random, for tests of what adds them up."""

from hypothesis import strategies as st

from blueprint_pipeline.task.coverage import COMBINATIONS, KEPT, BatchCoverage, Cell, CellCount, PlannedCoverage, declare, title_of

SKILL = "pick_place"
FATES = (KEPT, None, "plan_pick.no_path", "plan_pick.no_grasp", "gate.penetration", "record.schema", "render.sharpness", "person.rejected")

cells = st.builds(
    Cell,
    skill=st.sampled_from([SKILL, "push"]),
    object=st.sampled_from(["can", "bowl", "lemon"]),
    start=st.sampled_from(["left", "middle", "back right"]),
    goal=st.sampled_from(["front", "behind"]),
    beside=st.sampled_from(["nothing", "can"]),
    light=st.sampled_from(["bright white", "dim warm"]),
    sentence=st.sampled_from(["put", "move"]),
)
fates = st.sampled_from(FATES)
episodes = st.lists(st.tuples(cells, fates), max_size=30)


def plan_of(found, allowed=None, batch="a" * 64):
    """What a plan with these cells covers."""
    skills = {cell.skill for cell in found} | set(allowed or {})
    return PlannedCoverage(
        batch=batch,
        versions=dict.fromkeys(skills, "1"),
        declared=declare(found, {skill: (allowed or {}).get(skill, {}) for skill in skills}),
        cells=tuple(found),
    )


def batch_of(drawn, allowed=None):
    """What became of episodes (cell, fate)."""
    return plan_of([cell for cell, _ in drawn], allowed).sum_up(0, [fate for _, fate in drawn], [fate is not None for _, fate in drawn])


def cell(object_id="can", start="left", goal="front", **other):
    """A cell of which little matters."""
    return Cell(**{"skill": SKILL, "light": "bright white", "sentence": "put", **other}, object=object_id, start=start, goal=goal)


def batch_with(counts, *, version="1", unmet=()):
    """A batch of some counts by object and start: ``{("can", "left"): (kept, {code: failed})}``; every pair of them is declared."""
    listed = [
        CellCount(cell=cell(*pair), asked=kept + sum(failed.values()), attempted=kept + sum(failed.values()), kept=kept, failed=failed)
        for pair, (kept, failed) in counts.items()
    ]
    declared = {title_of(axes): tuple(sorted({count.cell.values(axes) for count in listed})) for axes in COMBINATIONS}
    return BatchCoverage(
        cover="none", seed=0, versions={SKILL: version}, declared={SKILL: declared}, cells=tuple(listed), unmet=tuple(unmet)
    )
