"""Is a command possible? Pure checks used before a command is sent and again when it is applied."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import product

from emulation.domain.actions import MacroPolicy, RouteGuide
from emulation.domain.cluster import Mode, NodeSpec, TestbedConfig

_MOST_REMEMBERED = 10_000
"""Patterns whose check is remembered, of all nodes together."""


def node_violations(testbed: TestbedConfig, node_id: str, modes: Mapping[str, Mode]) -> list[str]:
    """Why this activation pattern cannot run on this node (MA eq. 1); empty if it can.

    What was checked once is remembered with the testbed: loops and nodes ask again and again.
    """
    checked, pattern = testbed.checked, (node_id, *modes.items())
    found = checked.get(pattern)
    if found is None:
        if len(checked) >= _MOST_REMEMBERED:
            checked.clear()
        found = checked[pattern] = tuple(_node_violations(testbed, node_id, modes))
    return list(found)


def _node_violations(testbed: TestbedConfig, node_id: str, modes: Mapping[str, Mode]) -> list[str]:
    node = testbed.node(node_id)
    known = {m.id for m in testbed.models}
    violations: list[str] = []
    active = {m: mode for m, mode in modes.items() if mode != "off"}
    for model_id, mode in active.items():
        if model_id not in known:
            violations.append(f"unknown model {model_id!r}")
        elif testbed.theta(node_id, model_id, mode) is None:
            violations.append(f"{model_id} cannot run on {mode} of {node_id}")
    if violations:
        return violations
    cpu_pods = sum([mode == "cpu" for mode in active.values()])
    if cpu_pods > node.cores:
        violations.append(f"{cpu_pods} CPU pods on {node.cores} cores of {node_id}")
    ram_gb = sum([testbed.model(m).ram_gb for m in active])
    if ram_gb > node.ram_gb:
        violations.append(f"{ram_gb:g} GB RAM asked, {node.ram_gb:g} on {node_id}")
    if pack_gpus(node, [testbed.model(m).vram_gb for m, mode in active.items() if mode == "gpu"]) is None:
        violations.append(f"GPU models do not fit the slices or vRAM of {node_id}")
    return violations


def pack_gpus(node: NodeSpec, vram_gb: Iterable[float]) -> list[int] | None:
    """GPU index for each replica in turn, a slice of the GPU with the most free vRAM; None if they do not fit."""
    free = [[gpu.slices, gpu.vram_gb] for gpu in node.gpus]
    placed: list[int] = []
    for need in vram_gb:
        fits = [i for i, (slices, vram) in enumerate(free) if slices >= 1 and vram >= need]
        if not fits:
            return None
        best = max(fits, key=lambda i: (free[i][1], -i))
        free[best][0] -= 1
        free[best][1] -= need
        placed.append(best)
    return placed


def feasible_configs(testbed: TestbedConfig, node_id: str) -> list[dict[str, Mode]]:
    """Every feasible activation pattern of a node, over the models it can host, in a fixed order.

    Found once for all nodes that are alike, and remembered with the testbed unless there are very many.
    """
    node, models = testbed.node(node_id), testbed.hosted(node_id)
    choices: list[tuple[Mode, ...]] = [("off", *testbed.modes(node_id, m)) for m in models]
    gpus = tuple([(gpu.slices, gpu.vram_gb) for gpu in node.gpus])
    alike = (node.cores, node.ram_gb, gpus, models, *choices)
    found = testbed.patterns.get(alike)
    if found is None:
        found = tuple(_feasible_configs(testbed, node, models, choices))
        if sum([len(known) for known in testbed.patterns.values()]) + len(found) <= _MOST_REMEMBERED:
            testbed.patterns[alike] = found
    return [pattern.copy() for pattern in found]


def _feasible_configs(
    testbed: TestbedConfig, node: NodeSpec, models: Sequence[str], choices: Sequence[tuple[Mode, ...]]
) -> list[dict[str, Mode]]:
    cores, room_gb = node.cores, node.ram_gb
    ram_gb = [testbed.model(m).ram_gb for m in models]
    vram_gb = [testbed.model(m).vram_gb for m in models]
    found: list[dict[str, Mode]] = []
    for picked in product(*choices):
        if picked.count("cpu") > cores:
            continue
        if sum([gb for gb, mode in zip(ram_gb, picked, strict=True) if mode != "off"]) > room_gb:
            continue
        on_gpu = [gb for gb, mode in zip(vram_gb, picked, strict=True) if mode == "gpu"]
        if not on_gpu or pack_gpus(node, on_gpu) is not None:
            found.append(dict(zip(models, picked, strict=True)))
    return found


def policy_violations(testbed: TestbedConfig, policy: MacroPolicy, tolerance: float = 1e-6) -> list[str]:
    """Why this macro policy is invalid: unknown names, negative or unnormalised p, infeasible roles."""
    known_models = {m.id for m in testbed.models}
    known_nodes = {n.id for n in testbed.nodes}
    violations: list[str] = [f"p lacks model {m!r}" for m in sorted(known_models - set(policy.p))]
    for model_id, shares in policy.p.items():
        if model_id not in known_models:
            violations.append(f"p names unknown model {model_id!r}")
            continue
        hosts = set(testbed.routable(model_id))
        violations.extend(
            f"p[{model_id}] uses {n!r}, to which it may not be routed"
            for n in shares
            if n not in hosts and shares[n] > 0
        )
        violations.extend(f"p[{model_id}][{n}] = {w:g} is negative" for n, w in shares.items() if w < 0)
        total = sum(shares.values())
        if abs(total - 1.0) > tolerance:
            violations.append(f"p[{model_id}] sums to {total:.6g}, must be 1")
    for node_id, modes in policy.roles.items():
        if node_id not in known_nodes:
            violations.append(f"roles name unknown node {node_id!r}")
        else:
            violations.extend(node_violations(testbed, node_id, modes))
    violations.extend(
        f"admission_limit_s[{m}] = {v:g} must be > 0" for m, v in policy.admission_limit_s.items() if v <= 0
    )
    violations.extend(
        f"admission_limit_s names unknown model {m!r}"
        for m in sorted(set(policy.admission_limit_s) - known_models)
    )
    for model_id, steps in sorted(policy.limits_from.items()):
        if model_id not in policy.admission_limit_s:
            violations.append(f"limits_from names {model_id!r}, which has no admission_limit_s")
        if any([limit_s <= 0 for _, limit_s in steps]):
            violations.append(f"limits_from[{model_id}] has a limit that is not > 0")
        if list(steps) != sorted(steps, key=_demand_of):
            violations.append(f"limits_from[{model_id}] must name the least demand first")
    violations.extend(f"unrefused names unknown model {m!r}" for m in sorted(policy.unrefused - known_models))
    violations.extend(
        f"unrefused names {m!r}, which has an admission_limit_s; remove one of them"
        for m in sorted(policy.unrefused & set(policy.admission_limit_s))
    )
    return violations


def _demand_of(step: tuple[float, float]) -> float:
    return step[0]


def plan_violations(testbed: TestbedConfig, policy: MacroPolicy) -> list[str]:
    """Why this policy is no complete plan, beyond `policy_violations`: empty if it is one.

    Every node of pods has a role, no role has a model to which no request may be routed there, every model has a
    host, and traffic goes to hosts only.
    """
    violations = policy_violations(testbed, policy)
    pods = [n.id for n in testbed.nodes if n.hosting == "pods"]
    violations.extend(f"roles lack node {n!r}" for n in pods if n not in policy.roles)
    violations.extend(role_violations(testbed, policy.roles))
    for model in testbed.models:
        hosts = _hosts(testbed, policy.roles, model.id)
        violations.extend(
            f"p[{model.id}] sends {share:g} to {n}, whose role does not host it"
            for n, share in policy.p.get(model.id, {}).items()
            if share > 0 and n in pods and n in testbed.routable(model.id) and n not in hosts
        )
    return violations


def role_violations(testbed: TestbedConfig, roles: Mapping[str, Mapping[str, Mode]]) -> list[str]:
    """Why these roles, each of which its node can run, are no plan together: what nobody may use, what has no host."""
    pods = {n.id for n in testbed.nodes if n.hosting == "pods"}
    violations: list[str] = []
    for model in testbed.models:
        routable = testbed.routable(model.id)
        violations.extend(
            f"roles put {model.id} on {n}, to which it may not be routed"
            for n, role in roles.items()
            if n not in routable and role.get(model.id, "off") != "off"
        )
        if not _hosts(testbed, roles, model.id) and any(n in pods for n in routable):
            violations.append(f"no role hosts {model.id}")
    return violations


def given_plan_violations(testbed: TestbedConfig, plan: Mapping[str, Mapping[str, Mode]]) -> list[str]:
    """Why a plan that was written by hand is none, by the rules that planned ones obey; a node it leaves out is off."""
    known = {n.id for n in testbed.nodes}
    violations = [f"names unknown node {n!r}" for n in plan if n not in known]
    violations += [
        f"{n}: {v}" for n, modes in plan.items() if n in known for v in node_violations(testbed, n, modes)
    ]
    return violations or role_violations(testbed, plan)


def _hosts(testbed: TestbedConfig, roles: Mapping[str, Mapping[str, Mode]], model: str) -> list[str]:
    """Nodes the model may be routed to, and whose role has it."""
    return [n for n in testbed.routable(model) if roles.get(n, {}).get(model, "off") != "off"]


def table_violations(testbed: TestbedConfig, table: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Why this table, origin to model to destination, is incomplete or impossible; empty if it is neither."""
    models = [m.id for m in testbed.models]
    nodes = [n.id for n in testbed.nodes]
    violations = [f"table lacks origin {n!r}" for n in nodes if n not in table]
    for origin, row in table.items():
        if origin not in nodes:
            violations.append(f"table names unknown origin {origin!r}")
            continue
        violations.extend(f"table[{origin}] lacks {m!r}" for m in models if m not in row)
        for model, node in row.items():
            if model not in models:
                violations.append(f"table[{origin}] names unknown model {model!r}")
            elif node not in nodes:
                violations.append(f"table[{origin}][{model}] names unknown node {node!r}")
            elif node not in testbed.routable(model):
                violations.append(f"table[{origin}][{model}] = {node}, to which it may not be routed")
    return violations


def pattern_violations(testbed: TestbedConfig, node_id: str, modes: Mapping[str, Mode]) -> list[str]:
    """Why this is no complete activation pattern of the node: models missing or not of this node, or infeasible."""
    hosted = testbed.hosted(node_id)
    violations = [f"modes lack {m!r}" for m in hosted if m not in modes]
    violations.extend(f"modes name {m!r}, which {node_id} cannot host" for m in modes if m not in hosted)
    return violations or node_violations(testbed, node_id, modes)


def guide_violations(testbed: TestbedConfig, guide: RouteGuide) -> list[str]:
    """Why this route guide is invalid: unknown names, destinations that cannot host the model, negative weights."""
    if _is_plain_table(testbed, guide):
        return []
    models, nodes = {m.id for m in testbed.models}, {n.id for n in testbed.nodes}
    violations = _unknown("table names unknown origin", (origin for origin, _ in guide.table), nodes)
    violations += _unknown("table names unknown model", (model for _, model in guide.table), models)
    violations += [
        f"table sends {model} from {origin} to {node}, which cannot host it"
        for (origin, model), node in guide.table.items()
        if model in models and node not in testbed.hosts(model)
    ]
    if guide.masked:
        violations += _unknown(
            "mask names unknown executor", guide.masked, {e.id for e in testbed.executors()}
        )
    violations += _unknown("admission_limit_s names unknown model", guide.admission_limit_s, models)
    violations += [
        f"admission_limit_s[{m}] = {v:g} must be > 0"
        for m, v in guide.admission_limit_s.items()
        if v is not None and v <= 0
    ]
    violations += _unknown("weights name unknown model", (model for model, _ in guide.weights), models)
    violations += _unknown("weights name unknown node", (node for _, node in guide.weights), nodes)
    violations += [
        f"weight of {model} on {node} is negative" for (model, node), w in guide.weights.items() if w < 0
    ]
    return violations


def _is_plain_table(testbed: TestbedConfig, guide: RouteGuide) -> bool:
    """Whether a guide is nothing but a table, and nothing is wrong with that: almost every one of a scheduler is so."""
    if guide.masked or guide.weights or guide.admission_limit_s:
        return False
    return all([testbed.may_send(origin, model, node) for (origin, model), node in guide.table.items()])


def _unknown(what: str, names: Iterable[str], known: Collection[str]) -> list[str]:
    return [f"{what} {name!r}" for name in sorted(set(names) - set(known))]
