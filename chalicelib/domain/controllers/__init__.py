"""Controllers: whatever starts another box when one ends. One file a kind; a new kind is one file and one line here.

The order is that in which they are disarmed: a group and a fleet before the spot requests that they have made. What
another AWS service runs (`managed`) is not disarmed at all: that service would put it right again.
"""

from chalicelib.domain.controllers import fleet, group
from chalicelib.domain.controllers.kind import Kind

KINDS: tuple[Kind, ...] = (group.AUTO_SCALING_GROUP, fleet.EC2_FLEET, fleet.SPOT_FLEET)
