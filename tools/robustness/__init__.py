"""Proof by faults: what is damaged, cut off, killed or refused ends in one sentence, and nothing is lost."""
