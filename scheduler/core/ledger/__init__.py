"""Who holds what: one writer, columns of integers, read-only snapshots, trials that roll back."""
