"""How soon a dead link is noticed and is back: a black hole, loss and delay, with the limits."""

from tests.transport.conftest import client_key, watch
from tests.transport.test_network import hosts
from tests.transport.test_network import (
    test_black_hole_loss_and_delay_lose_nothing as test_network_figures,
)

__all__ = ["client_key", "hosts", "test_network_figures", "watch"]
