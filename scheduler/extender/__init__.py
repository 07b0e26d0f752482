"""The HTTP side towards kube-scheduler: filter, prioritize, preempt, bind."""
