"""What we write of KubeRay's `RayService` and of Kubernetes' `Service`, in the terms of `ray.io/v1` and `v1`.

It is not the operator's own schema, which comes with the operator: only the fields that are written here, each as
narrow as Kubernetes takes it, so that a name or amount that the server would refuse is refused before.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from emulation.domain.strict import Strict

Label = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
Amount = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(Gi)?$")]
Port = Annotated[int, Field(ge=1, le=65_535)]
One = Literal[1]


class Metadata(Strict):
    name: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=40)]
    """KubeRay puts up to 23 characters behind it."""
    namespace: Label


class Variable(Strict):
    name: str
    value: str


class ContainerPort(Strict):
    name: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=15)]
    containerPort: Port


class Amounts(Strict):
    limits: dict[str, Amount]
    requests: dict[str, Amount]


class Container(Strict):
    name: Label
    image: str
    resources: Amounts
    env: list[Variable]
    ports: list[ContainerPort] | None = None


class PodSpec(Strict):
    containers: Annotated[list[Container], Field(min_length=1, max_length=1)]
    nodeSelector: dict[str, str] | None = None


class PodMetadata(Strict):
    labels: dict[str, Label]


class Pod(Strict):
    metadata: PodMetadata | None = None
    spec: PodSpec


class Head(Strict):
    rayStartParams: dict[str, str]
    template: Pod


class Group(Head):
    groupName: Label
    replicas: One
    minReplicas: One
    maxReplicas: One


class Auth(Strict):
    mode: Literal["token"]


class RayClusterSpec(Strict):
    rayVersion: str
    authOptions: Auth
    enableInTreeAutoscaling: Literal[False]
    headGroupSpec: Head
    workerGroupSpecs: Annotated[list[Group], Field(min_length=1)]


class RayServiceSpec(Strict):
    serveConfigV2: str
    rayClusterConfig: RayClusterSpec


class Document(Strict):
    metadata: Metadata

    def dump(self) -> dict[str, Any]:
        """As it is written: nothing that is not set."""
        return self.model_dump(exclude_none=True)


class RayService(Document):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayService"]
    spec: RayServiceSpec


class ServicePort(Strict):
    name: Label
    port: Port
    targetPort: Port


class ServiceSpec(Strict):
    type: Literal["ClusterIP"]
    selector: dict[str, str]
    ports: Annotated[list[ServicePort], Field(min_length=1)]


class GatewayService(Document):
    apiVersion: Literal["v1"]
    kind: Literal["Service"]
    spec: ServiceSpec
