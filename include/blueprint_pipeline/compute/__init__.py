"""Where stages run. A stage and a DAG do not know which compute they are given."""
