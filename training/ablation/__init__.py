"""What helped: variants that differ from the baseline in one thing each, trained alike and scored in unseen rooms."""
