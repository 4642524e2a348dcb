"""Run by Alembic: migrate on the connection that ``blueprint_pipeline.registry.migrate`` opened."""

from alembic import context

from blueprint_pipeline.registry.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata, transaction_per_migration=False)
context.run_migrations()
