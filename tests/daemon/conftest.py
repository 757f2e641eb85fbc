from contextlib import ExitStack

import leaks
import pytest
from harness import Gym


@pytest.fixture(autouse=True)
def _nothing_outlives_its_test(request):
    """Wait for nothing of a test that may start its file's daemon anew: the file is looked at as a whole."""
    begun = leaks.Begun()
    yield
    if "shared_gym" not in request.fixturenames:
        assert begun.not_ended() == []


@pytest.fixture(autouse=True, scope="module")
def _nothing_outlives_its_file():
    begun = leaks.Begun()
    yield
    assert begun.not_ended() == []


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
