"""When an observation can have been used: believed by its stamp, or from the moment it was recorded.

Whoever fetches a history today records all of it today, so the moment of recording says nothing about most of it. A
stamp is believed as long as nothing contradicts it. What is put between observations that had been recorded before, or
corrects one of them, came late and counts from its recording. What extends them, at the newer end or at the older, is
believed: the rest of a history that was first fetched in part.
"""

import numpy as np
from numpy.typing import NDArray

Moments = NDArray[np.int64]


def not_before(published: Moments, recorded: Moments) -> Moments:
    """Moments before which observations cannot have been used.

    Parameters
    ----------
    published
        m moments of publication, ns, in any order; may repeat.
    recorded
        m moments of recording, ns. Where nobody recorded one, the moment of publication.

    Returns
    -------
    array
        m moments: the recording where something as new or newer and something as old or older had been recorded before,
        else the publication.
    """
    order = np.lexsort((published, recorded))
    said, when = published[order], recorded[order]
    oldest, newest = np.minimum.accumulate(said), np.maximum.accumulate(said)
    before = np.searchsorted(when, when, side="left") - 1
    late = (before >= 0) & (said >= oldest[before]) & (said <= newest[before])
    out = np.empty_like(published)
    out[order] = np.where(late, np.maximum(said, when), said)
    return out
