"""What is told to people and machines that watch: Prometheus metrics. Decides nothing."""
