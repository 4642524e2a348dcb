"""### One scene, all the way to a delivered dataset.

| group | tasks | what comes out |
|---|---|---|
| scene | ingest, estimate physics, process meshes, assemble, settle | a physically true scene at rest: USD stage and MJCF twin |
| simulation | plan tasks, simulate (mapped: one task a shard) | states and controls of every attempt, no pixels |
| episode | import, gate, approve (a person, where in doubt), render (mapped), gate again | kept episodes, each with a replay certificate |
| dataset | write, certify | LeRobot v3.0 and v2.1 from one encode, read by the real readers |
| delivery | price, package, deliver, notify, announce | a signed bundle in the lab's bucket, receipt, webhook, Slack |

**Started** by hand, by `nightly_scenes`, or through the API; one run is one scene (`scene_id` is the partition key
of the events of its assets `dataset` and `bundle`; their `found_done` says whether the work is new).
**Run again**, a stage whose inputs, request and code are the same finds its commit and does nothing;
a killed one resumes at the last finished episode.
**Errors**: a permanent one fails the task at once with the whole message; a transient one is tried again after a pause;
a preempted one at once.
People are told over `slack_default`, or `on_call_backup` where that fails: once of a run that failed, was cancelled or is late, and when
its scene has recovered. Whether a message arrives changes nothing of what happened.

This file is read by Airflow's DAG processor; the tasks are in `operators/scene_flow.py`.
"""

from operators.scene_flow import SceneFlow, build_scene_dag

dag = build_scene_dag(SceneFlow(dag_id="scene_to_dataset", doc_md=__doc__))
