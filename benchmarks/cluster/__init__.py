"""What Equipoise costs on a real control plane: rates, latencies, memory, a quiet minute."""
