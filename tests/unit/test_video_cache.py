"""Memory stays within its bound, decoding ahead changes nothing, and every thread goes home."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from interaction.video.decoder import FrameDecoder
from interaction.video.video import FrameCache, Prefetcher, Video, open_video
from tests.unit.video_samples import HEIGHT, WIDTH, read_number, write_numbered, x264

FRAME_BYTES = WIDTH * HEIGHT * 3
DEADLINE_S = 30  # for what takes milliseconds


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    return write_numbered(folder / "a.mp4", 300, options=x264(keyint=40))


def picture(value: int, size_bytes: int = 300) -> np.ndarray:
    return np.full((size_bytes // 3, 1, 3), value, dtype=np.uint8)


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


class WatchedCache(FrameCache):
    """Tells when a frame arrives."""

    def __init__(self, capacity_bytes: int) -> None:
        super().__init__(capacity_bytes)
        self._arrived = threading.Condition()

    def put(self, frame: int, picture: np.ndarray) -> None:
        super().put(frame, picture)
        with self._arrived:
            self._arrived.notify_all()

    def wait_for(self, *frames: int) -> bool:
        with self._arrived:
            return self._arrived.wait_for(
                lambda: all(frame in self for frame in frames), timeout=DEADLINE_S
            )


@pytest.fixture
def watched(path: Path) -> Iterator[tuple[Video, WatchedCache]]:
    with open_video(path, cache_bytes=200 * FRAME_BYTES) as video:
        cache = WatchedCache(200 * FRAME_BYTES)
        video._cache = cache
        yield video, cache


def test_the_least_recently_used_frame_makes_room() -> None:
    cache = FrameCache(900)
    for frame in range(3):
        cache.put(frame, picture(frame))
    assert cache.get(0) is not None
    cache.put(3, picture(3))
    assert [frame for frame in range(4) if frame in cache] == [0, 2, 3]
    assert cache.size_bytes == 900
    cache.put(4, picture(4, 600))
    assert [frame for frame in range(5) if frame in cache] == [3, 4]
    cache.clear()
    assert cache.size_bytes == 0
    assert cache.get(4) is None


def test_a_frame_larger_than_the_cache_is_not_kept() -> None:
    cache = FrameCache(500)
    cache.put(0, picture(0))
    cache.put(1, picture(1, 600))
    assert 0 in cache
    assert 1 not in cache
    cache.put(0, picture(9))
    assert cache.size_bytes == 300
    with pytest.raises(ValueError, match="-1"):
        FrameCache(-1)


@pytest.mark.parametrize("frames", [0, 1, 2, 7, 50])
def test_the_cache_of_a_video_stays_within_its_bytes(frames: int, path: Path) -> None:
    limit = frames * FRAME_BYTES + 5
    with open_video(path, cache_bytes=limit) as video:
        travel = [*range(60), *range(150, 90, -1), 299, 0, 200]
        for index in travel:
            assert read_number(video[index]) == index
            assert video._cache.size_bytes <= limit
        held = sum(picture.nbytes for picture in video._cache._pictures.values())
        assert held == video._cache.size_bytes


def test_a_frame_in_memory_is_not_decoded_again(path: Path) -> None:
    with open_video(path) as video:
        assert video[17] is video[17]


def test_going_forward_decodes_ahead(watched: tuple[Video, WatchedCache]) -> None:
    video, cache = watched
    video[100]
    video[101]
    assert cache.wait_for(*range(102, 110))
    assert read_number(video[105]) == 105


def test_going_backward_keeps_the_whole_group(watched: tuple[Video, WatchedCache]) -> None:
    video, cache = watched
    video[115]
    video[114]
    assert cache.wait_for(*range(80, 115))
    assert [read_number(video[index]) for index in range(113, 79, -1)] == list(range(113, 79, -1))
    assert cache.wait_for(*range(40, 80))  # the group before, before it is asked for


def test_a_jump_decodes_nothing_ahead(path: Path) -> None:
    with open_video(path) as video:
        for index in (10, 200, 50):
            video[index]
        assert not prefetch_threads()


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("frames", [0, 10, 100])
def test_decoding_ahead_changes_no_pixel(step: int, frames: int, path: Path) -> None:
    order = range(300)[::step]
    with open_video(path, cache_bytes=frames * FRAME_BYTES) as video:
        travelled = {index: video[index].copy() for index in order}
    with open_video(path, cache_bytes=0) as video:
        for index in (0, 39, 40, 41, 160, 159, 299, 298, 77):
            assert (video[index] == travelled[index]).all()


def test_four_threads_at_once_get_their_own_frames(path: Path) -> None:
    def travel(order: list[int]) -> bool:
        return all(read_number(video[index]) == index for index in order)

    scattered = np.random.default_rng(0).integers(0, 300, 120).tolist()
    orders = [list(range(200)), list(range(299, 120, -1)), scattered, scattered[::-1]]
    with (
        open_video(path, cache_bytes=60 * FRAME_BYTES) as video,
        ThreadPoolExecutor(max_workers=4) as pool,
    ):
        assert all(pool.map(travel, orders, timeout=DEADLINE_S))
        assert video._cache.size_bytes <= 60 * FRAME_BYTES


def test_closing_ends_the_thread_even_in_the_middle_of_decoding(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_decoding = threading.Event()
    decode = FrameDecoder.decode

    def endless(
        decoder: FrameDecoder, first: int, last: int, is_cancelled: Callable[[], bool]
    ) -> Iterator[tuple[int, np.ndarray]]:
        if threading.current_thread().name != "prefetch":
            yield from decode(decoder, first, last, is_cancelled)
            return
        is_decoding.set()
        while not is_cancelled():
            list(decode(decoder, 0, 5, is_cancelled))

    monkeypatch.setattr(FrameDecoder, "decode", endless)
    video = open_video(path)
    video[50]
    video[51]
    assert is_decoding.wait(DEADLINE_S)
    video.close()
    assert not prefetch_threads()
    assert video._cache.size_bytes == 0


def test_a_caller_elsewhere_does_not_wait_for_decoding_ahead(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_decoding, is_over = threading.Event(), threading.Event()
    decode = FrameDecoder.decode

    def until_cancelled(
        decoder: FrameDecoder, first: int, last: int, is_cancelled: Callable[[], bool]
    ) -> Iterator[tuple[int, np.ndarray]]:
        if threading.current_thread().name == "prefetch":
            is_decoding.set()
            while not is_cancelled() and not is_over.is_set():
                list(decode(decoder, 0, 5, is_cancelled))
            return
        yield from decode(decoder, first, last, is_cancelled)

    monkeypatch.setattr(FrameDecoder, "decode", until_cancelled)
    with open_video(path) as video, ThreadPoolExecutor(max_workers=1) as pool:
        video[50]
        video[51]
        assert is_decoding.wait(DEADLINE_S)
        try:
            elsewhere = pool.submit(video.__getitem__, 250).result(timeout=DEADLINE_S)
        finally:
            is_over.set()
        assert read_number(elsewhere) == 250


def test_threads_are_gone_after_an_ordinary_life(path: Path) -> None:
    before = threading.active_count()
    with open_video(path) as video:
        for index in range(30):
            video[index]
        assert len(prefetch_threads()) == 1
    assert not prefetch_threads()
    assert threading.active_count() == before


def test_the_newest_errand_replaces_those_that_wait() -> None:
    done: list[range] = []
    has_begun, may_go_on, is_done = threading.Event(), threading.Event(), threading.Event()

    def work(errand: range) -> None:
        done.append(errand)
        has_begun.set()
        may_go_on.wait(DEADLINE_S)
        if errand == range(3):
            is_done.set()

    prefetcher = Prefetcher(work)
    prefetcher.ask(range(1))
    assert has_begun.wait(DEADLINE_S)
    assert not prefetcher.is_overtaken()
    prefetcher.ask(range(2))
    prefetcher.ask(range(3))
    assert prefetcher.is_overtaken()
    may_go_on.set()
    assert is_done.wait(DEADLINE_S)
    prefetcher.close()
    assert done == [range(1), range(3)]
    prefetcher.ask(range(4))
    assert done == [range(1), range(3)]
    assert not prefetch_threads()


def test_what_is_in_memory_is_given_at_once_and_nothing_is_decoded_for_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_video(path) as video:
        seen = video[17]
        monkeypatch.setattr(video, "_decode", lambda *_, **__: pytest.fail("it decoded"))
        assert video.cached(17) is seen
        assert video.cached(250) is None
        with pytest.raises(IndexError):
            video.cached(300)


def test_looking_at_what_is_in_memory_decodes_ahead(
    watched: tuple[Video, WatchedCache],
) -> None:
    video, cache = watched
    video[10], video[11]
    assert cache.wait_for(19)
    for frame in range(12, 20):
        assert video.cached(frame) is not None
    assert cache.wait_for(27)
