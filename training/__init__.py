"""Desktop GPU side: data, synthesis, networks, training, evaluation."""
