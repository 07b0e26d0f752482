"""Whether the custom resources that were defined can be used already."""

from tests.support.controlplane.api import JSON, Api, Refused

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def all_served(api: Api) -> bool:
    """A new one is missing for a moment, and then initializing for another (429)."""
    return all(_served(api, definition["spec"]) for definition in api.items(CRDS))


def _served(api: Api, spec: JSON) -> bool:
    try:
        for version in spec["versions"]:
            path = f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}"
            api.get(path, {"limit": "1"})
    except Refused as error:
        if error.status not in {404, 429, 503}:
            raise
        return False
    return True
