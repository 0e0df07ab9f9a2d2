"""The environment: PettingZoo's own contract, rewards that are eq. 20, and nothing but a run of the engine."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

pytest.importorskip("pettingzoo", reason="the libraries of training are not installed")
from pettingzoo.test import parallel_api_test, parallel_seed_test  # noqa: E402

from controller.rl.checkpoint import SHIPPED, read_checkpoint  # noqa: E402
from controller.rl.nets import pattern_values, random_weights, route_shares, router_scores  # noqa: E402
from controller.schedulers.mappo import drawn_from  # noqa: E402
from edgebed.rl.env import ROUTES, TestbedEnv, parallel_env  # noqa: E402
from edgebed.runs.virtual import simulate  # noqa: E402
from emulation.domain.records import RequestRecord  # noqa: E402
from emulation.domain.scenario import Scenario  # noqa: E402
from emulation.domain.sources import TraceSource  # noqa: E402
from emulation.files import ConfigError, load_scenario  # noqa: E402
from emulation.metrics.fairness import Counted, epoch_result_of  # noqa: E402
from emulation.recording import MemorySink  # noqa: E402


def small(**changes: Any) -> Scenario:
    """bristol-A for a few slots, with little patience."""
    return load_scenario("bristol-A").model_copy(
        update={"slots": 5, "tail_slots": 2, "deadline_s": 120.0, **changes}
    )


def played(env: TestbedEnv, seed: int) -> tuple[dict[int, float], float]:
    """An episode of actions drawn from the spaces; reward by slot, and the sum of what the steps gave."""
    env.reset(seed=seed)
    for agent in env.possible_agents:
        env.action_space(agent).seed(seed)
    settled: dict[int, float] = {}
    total = 0.0
    while env.agents:
        actions = {a: env.action_space(a).sample() for a in env.agents}
        _, rewards, _, _, infos = env.step(actions)
        assert len(set(rewards.values())) == 1
        total += next(iter(rewards.values()))
        settled |= next(iter(infos.values()))["settled"]
    return settled, total


def test_it_keeps_the_contract_of_pettingzoo() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parallel_api_test(parallel_env(small()), num_cycles=60)


def test_the_same_seed_is_the_same_episode() -> None:
    parallel_seed_test(lambda: parallel_env(small()), num_cycles=12)


def test_every_counted_slot_is_rewarded_once_and_by_what_became_of_its_requests() -> None:
    env = parallel_env(small())
    settled, total = played(env, 3)
    assert set(settled) == set(range(5))
    assert total == pytest.approx(sum(settled.values()))
    assert all(0.0 <= r <= 1.0 for r in settled.values())


def test_playing_what_the_trained_agents_decide_is_the_run_of_their_scheme() -> None:
    """The environment adds nothing to the engine, and what is learned in it is what decides in a run."""
    scenario, seed = small(), 4
    sink = MemorySink()
    simulate(scenario, "DRL", seed, sink)
    records = [r for r in sink.records if isinstance(r, RequestRecord) and r.counted]
    env, weights = parallel_env(scenario), read_checkpoint(SHIPPED).weights
    env.reset(seed=seed)
    settled: dict[int, float] = {}
    while env.agents:
        if env.turn == ROUTES:
            candidates, mask = env.destinations
            shares = route_shares(router_scores(weights, candidates), mask)
            assert env.asked is not None
            chosen = drawn_from(shares, seed, env.asked.slot)
            actions: dict[str, Any] = {f"router:{n}": chosen[o] for o, n in enumerate(env.routing.nodes)}
        else:
            actions = {
                f"deployer:{n}": int(pattern_values(weights, *env.looks[n], f.modes).argmax())
                for n, f in env.nodes.items()
            }
        settled |= next(iter(env.step(actions)[4].values()))["settled"]
    assert env.run is not None
    done = [r for r in records if r.outcome == "done"]
    assert sum(c.served for c in env.run.tally.all.values()) == len(done)
    latency_s = sum(c.latency_s for c in env.run.tally.all.values())
    assert latency_s == pytest.approx(sum(r.ended_s - r.intended_s for r in done))
    first = [r for r in records if r.intended_s < scenario.slot_s]
    counts = {
        m.id: Counted(
            sum(r.model == m.id for r in first),
            sum(r.model == m.id and r.outcome == "done" for r in first),
            sum(r.ended_s - r.intended_s for r in first if r.model == m.id and r.outcome == "done"),
        )
        for m in scenario.testbed.models
    }
    assert settled[0] == pytest.approx(1.0 - epoch_result_of(counts, 120.0, 0.5).objective)


def test_a_forbidden_destination_stands_for_the_next_allowed_one() -> None:
    env = parallel_env(small())
    env.reset(seed=0)
    blip, nodes = env.routing.models.index("blip"), env.routing.nodes
    assert not env.destinations[1][blip, nodes.index("VM2")]
    guide: Any = env._routes({f"router:{n}": np.zeros(4, int) for n in nodes})
    assert guide.table["VM5", "blip"] == "VM3"
    assert guide.table["VM5", "gpt2"] == "VM2"
    env.close()


@pytest.mark.parametrize("bad", [-1, 6])
def test_an_action_that_is_none_is_refused(bad: int) -> None:
    env = parallel_env(small())
    env.reset(seed=0)
    actions = {a: env.action_space(a).sample() for a in env.agents}
    actions["router:VM3"] = np.array([bad, 1, 1, 1])
    with pytest.raises(ValueError, match=f"router:VM3 sends gpt2 to node {bad}"):
        env.step(actions)
    env.close()


def test_a_step_after_the_end_is_refused() -> None:
    env = parallel_env(small())
    played(env, 0)
    with pytest.raises(ValueError, match="call reset"):
        env.step({})


def test_a_scenario_in_which_deployment_comes_first_is_refused() -> None:
    with pytest.raises(ConfigError, match="deploy-first"):
        parallel_env(small(slot_order="deploy-first"))


@pytest.mark.models
@pytest.mark.slow
def test_training_leaves_weights_curve_and_plot_and_the_same_seed_gives_the_same_bytes(
    tmp_path: Path,
) -> None:
    from edgebed.rl.training import Training, train, write_training

    files = []
    for name in ("a", "b"):
        training = Training(small(slots=8), 4, 7)
        train(training, lambda point: None)
        files.append(write_training(training, tmp_path / name))
        assert [p.episode for p in training.curve] == list(range(len(training.curve)))
        assert {p.tier for p in training.curve} == {"routing", "deployment"}
    weights = [read_checkpoint(f[0]).weights for f in files]
    assert all((weights[0][n] == weights[1][n]).all() for n in weights[0])
    assert all(f.stat().st_size > 0 for f in files[0])


def sparse() -> Scenario:
    """bristol-A with a request every half a minute: in some of its slots nothing arrives."""
    shares = {m.id: 0.25 for m in load_scenario("bristol-A").testbed.models}
    return small(slots=12, workload=(TraceSource(trace="azure-conv", rate_per_s=0.03, mix=shares),))


def test_slots_in_which_nothing_arrives_have_no_reward_and_are_listed() -> None:
    env = parallel_env(sparse())
    settled, _ = played(env, 3)
    assert env.empty
    assert env.empty.isdisjoint(settled)
    assert env.empty | set(settled) == set(range(12))


@pytest.mark.models
@pytest.mark.slow
def test_trainers_step_over_slots_in_which_nothing_arrives() -> None:
    from controller.rl.dqn import DqnSettings, DqnTrainer
    from controller.rl.mappo import MappoSettings, MappoTrainer

    env, weights = parallel_env(sparse()), dict(random_weights(0))
    dqn = DqnTrainer(env, weights, DqnSettings(updates=1), 0)
    dqn.train(weights, 1, 1_000_000, lambda told: None)
    assert min(env.empty) < DqnSettings().steps, "or the first slots alone would do"
    assert dqn._replay.filled == len(env.nodes) * (12 - DqnSettings().steps + 1)
    mappo = MappoTrainer(env, weights, MappoSettings(), 0)
    mappo.train(weights, 2, 1_000_000, lambda told: None)
    assert mappo.updates > 0


@pytest.mark.models
@pytest.mark.slow
def test_a_scenario_that_teaches_nothing_is_refused_before_weights_are_written() -> None:
    from edgebed.rl.training import Training, train

    with pytest.raises(ConfigError, match=r"slots 3: deployment learned nothing in 1 episodes"):
        train(Training(small(slots=3), 4, 0), lambda point: None)


@pytest.mark.models
@pytest.mark.slow
def test_a_training_that_is_killed_leaves_what_it_had_learned_and_how_long_that_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgebed.commands.train import drl
    from edgebed.rl import training

    played: list[int] = []
    write = training.write_learned

    def until_killed(learned: Any, folder: Path) -> list[Path]:
        files = write(learned, folder)
        played.append(len(learned.curve))
        if len(played) == 2:
            raise OSError("killed")
        return files

    monkeypatch.setattr(training, "write_learned", until_killed)
    scenario = tmp_path / "small.yaml"
    scenario.write_text(small(slots=8).model_dump_json())
    with pytest.raises(OSError, match="killed"):
        drl(str(scenario), episodes=10, folder=tmp_path / "out", every=2, quiet=True)
    assert played == [2, 4]
    about = read_checkpoint(tmp_path / "out" / "drl.npz").about
    assert about.episodes == 4
    assert about.wall_s is not None
    assert about.wall_s > 0.0
    assert len(orjson.loads((tmp_path / "out" / "curve.json").read_bytes())) == 4
