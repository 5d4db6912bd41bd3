"""The same algorithm in PyTorch, for networks (needs the extra `deep`: pip install "esgd_minimal[deep]")."""
