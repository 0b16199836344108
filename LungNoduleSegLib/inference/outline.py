"""Components outlined, each from crops centred on it: a whole CT's candidates."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.inference.across import settled
from LungNoduleSegLib.inference.ahead import Ahead
from LungNoduleSegLib.inference.candidate import Candidate, share_inside, without_doubles
from LungNoduleSegLib.inference.components import Component
from LungNoduleSegLib.inference.described import placed_mask
from LungNoduleSegLib.inference.engine import Engine
from LungNoduleSegLib.inference.grow import Grown
from LungNoduleSegLib.inference.monitor import Monitor
from LungNoduleSegLib.inference.rescore import as_candidate, resegment
from LungNoduleSegLib.inference.scorer import CandidateScorer
from LungNoduleSegLib.inference.settings import SearchSettings

SURE = 0.5
"""What lies in a candidate with at least this probability is not outlined once more."""

LEAST_REST_MM = 10.0
"""Where the outline of a component is only a part of it, what is left of at least the probability that masks are cut at
is looked at too, once, if it has the volume of such a ball: a mass beside the mediastinum can be one component with
something false there."""

_Waiting = tuple[Engine, Component, bool]
"""What looks at a component, the component, and whether it is whole: not what an outline left of one."""


def outline(
    components: Iterable[tuple[Engine, Component]],
    ct: CT,
    lung: NDArray[np.bool_],
    settings: SearchSettings,
    scorer: CandidateScorer | None,
    monitor: Monitor,
    note: Callable[[Grown], object],
) -> list[Candidate]:
    """Outline components in their order, and make candidates of what is large enough and in the lungs.

    The next ones are looked at while one is described: their order, what is left out because it was found before, and
    so the result, are those of one after the other.

    Parameters
    ----------
    components
        Each with what looks at it.
    lung
        bool [k, j, i] on the CT's grid.
    note
        Called with every structure that was worth a full look, before its ends are settled.

    Returns
    -------
    Candidates without doubles, by falling probability.
    """
    waiting: deque[_Waiting] = deque((engine, component, True) for engine, component in components)
    candidates: list[Candidate] = []
    done = 0

    def known(component: Component) -> bool:
        # Most of what larger pixels see was found before; so were the pieces of what a tile's edge had cut.
        sure = (c for c in candidates if c.probability >= SURE)
        return any(share_inside(component.voxels, c) > 0.5 for c in sure)

    def look(item: _Waiting, inner: Monitor) -> tuple[Grown | None, Candidate | None]:
        engine, component, _ = item
        grown, worth = resegment(engine, ct, component, settings, scorer, inner)
        if grown is None or not worth:
            return grown, None
        return grown, as_candidate(ct, settled(ct, grown), component, scorer)

    with Ahead(look, monitor) as ahead:
        while waiting or len(ahead):
            monitor.step(done / (done + len(ahead) + len(waiting)))
            while waiting and ahead.free:
                item = waiting.popleft()
                if known(item[1]):
                    done += 1
                else:
                    ahead.begin(item)
            if not len(ahead):
                continue
            (engine, component, whole), (grown, candidate) = ahead.next()
            done += 1
            if grown is None or known(component):  # of one that was not there yet when this was begun
                continue
            rest = _rest(component, grown, settings, ct) if whole else None
            if rest is not None:
                waiting.append((engine, rest, False))
            if candidate is None:
                continue
            note(grown)
            if candidate.diameter_mm >= settings.min_mm and _centre_inside(candidate, lung):
                candidates.append(candidate)
    return without_doubles(candidates)


def _centre_inside(candidate: Candidate, lung: NDArray[np.bool_]) -> bool:
    middle = np.rint(np.argwhere(candidate.mask).mean(axis=0) + candidate.offset_kji).astype(int)
    return bool(lung[tuple(middle)])


def _rest(component: Component, grown: Grown, settings: SearchSettings, ct: CT) -> Component | None:
    """What the outline of a component leaves of it, if that is worth an outline of its own."""
    if component.peak < settings.mask_threshold:
        return None
    sure = component.above(settings.mask_threshold)
    rest = sure.without(*placed_mask(ct, grown))
    return rest if rest is not None and rest.diameter_mm(ct.voxel_volume_mm3) >= LEAST_REST_MM else None
