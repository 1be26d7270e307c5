"""A Meltano project as it is written: meltano.yml, its settings, variables and secrets."""
