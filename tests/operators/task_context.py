"""As much of Airflow's context as an operator of pods looks at."""


class TaskInstance:
    """As much of one as an operator looks at."""

    try_number, dag_id, task_id, map_index = 1, "d", "t", -1

    def xcom_push(self, **_): ...


class Store(dict):
    """A task's state."""

    def set(self, key, value):
        self[key] = value
