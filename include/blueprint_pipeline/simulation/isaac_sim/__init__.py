"""Isaac Sim as a :class:`~blueprint_pipeline.simulation.protocol.Simulator`.

``backend`` is the simulator; ``stage`` and ``robot_stage`` write what it loads; ``mapping`` translates orders, frames and contacts;
``calls`` is all that is asked of Isaac Sim, and ``api`` is the only module that imports it; ``session`` records those calls and plays
them back. What of this has been run where: ``docs/simulators.md``.
"""
