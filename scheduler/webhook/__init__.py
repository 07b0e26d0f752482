"""Admission: pods are checked and prepared before the API server stores them."""
