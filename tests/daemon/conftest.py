from contextlib import ExitStack

import pytest
from harness import Gym


@pytest.fixture
def gym(tmp_path):
    """Makes gyms, which end with the test."""
    with ExitStack() as stack:
        made = []

        def make(*arguments, **settings):
            folder = tmp_path / str(len(made))
            folder.mkdir()
            made.append(stack.enter_context(Gym(folder, *arguments, **settings)))
            return made[-1]

        yield make


@pytest.fixture(scope="module")
def shared_gym(tmp_path_factory):
    """Makes a gym whose one daemon serves all tests of a file."""
    with ExitStack() as stack:

        def make(*arguments, **settings):
            folder = tmp_path_factory.mktemp("gym")
            return stack.enter_context(Gym(folder, *arguments, **settings)).start()

        yield make
