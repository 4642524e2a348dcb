"""Rows of the toy stages, for tests that put them into the flow."""

from blueprint_pipeline.stage.flow import STAGES, StageRow

TOY_ROWS = {
    row.name: row
    for row in (
        StageRow(name="toy_intake", group="scene", module="tests.stage.toy_stages", says="{files} files taken in"),
        StageRow(name="toy_work", group="scene", module="tests.stage.toy_stages", says="{files} files made"),
        StageRow(name="toy_nothing", group="scene", module="tests.stage.toy_stages", says="{files} files made"),
        StageRow(name="toy_plan", group="simulation", module="tests.operators.toy_shards", says="{shards} shards", gives="shards"),
        StageRow(
            name="toy_shard", group="simulation", module="tests.operators.toy_shards", says="shard {shard}", sharded=True, priced="by_unit"
        ),
    )
}


def add_toys():
    """Put the toys at the end of the flow of this process, for good: for programs that tests start."""
    STAGES.update(TOY_ROWS)
