"""Frame records, objects and edits as JSON values, and back.

A mask is written once, into the mask store; JSON holds its place there. What comes back equals
what went in, floats included. What is read may be damaged or hostile: every value is looked at,
and DamagedValueError says in words what is wrong with it.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from typing import Final, NamedTuple

from interaction.annotation.overlaps import MOST_LAYERS
from interaction.annotation.types import (
    EMPTY_RECORD,
    Click,
    Edit,
    FrameRecord,
    FrameStatus,
    Matte,
    MemoryRange,
    MemoryRule,
    MemoryRules,
    ObjectInfo,
    PresenceRange,
    PresenceState,
    Prompts,
    Signs,
)
from interaction.files import JsonObject
from xmem_core.messages import Message

MOST_PX: Final = 1e6  # from the edges of a frame to a click beside it
_MOST_NAME: Final = 10_000  # letters
_MOST_CLICKS: Final = 100_000
_SIGNS_VERSION: Final = 1  # of what the numbers mean; those of another are left out
_MOST_SIGN: Final = 100.0
_IDS: Final = frozenset(map(str, range(1, 256)))
_MOST_FRAMES: Final = 2**31
_STATES: Final = {one.value for one in PresenceState} - {PresenceState.NOT_LOOKED_AT.value}
_RULES: Final = {one.value for one in MemoryRule} - {MemoryRule.FREE.value}


class DamagedValueError(ValueError):
    """A value read from a file that cannot be what the program wrote."""


class MaskPlace(NamedTuple):
    """Where the mask store keeps a mask's PNG file."""

    offset: int
    size_bytes: int
    crc32: int


Place = Callable[[bytes], MaskPlace]
Bring = Callable[[MaskPlace], bytes]


def record_to_json(
    record: FrameRecord, place: Place, matte_place: Place | None = None
) -> JsonObject | None:
    """None for the empty record; `place` says where a mask is kept, `matte_place` where a matte;
    None: they are left out."""
    if record == EMPTY_RECORD:
        return None
    value: JsonObject = {
        "mask": None if record.mask is None else list(place(record.mask)),
        "status": record.status.value,
        "present": _ids_to_json(record.present),
        "doubt": float(record.doubt),
    }
    if record.signs:
        signs = {
            str(one.object_id): [
                [round(number, 3) for number in one.values],
                b64encode(one.key).decode(),
            ]
            for one in record.signs
        }
        value["signs"] = {"version": _SIGNS_VERSION, "objects": signs}
    if record.beneath:
        value["beneath"] = [list(place(mask)) for mask in record.beneath]
        value["covered"] = _ids_to_json(record.covered)
    if record.mattes and matte_place is not None:
        value["mattes"] = {
            str(one.object_id): [
                list(matte_place(one.packed)),
                None if one.mask == record.mask else list(place(one.mask)),
            ]
            for one in record.mattes
        }
    if record.status.is_given:
        value["given"] = _ids_to_json(record.given)
    if record.prompts is not None:
        value["prompts"] = _prompts_to_json(record.prompts, place)
    return value


def _prompts_to_json(prompts: Prompts, place: Place) -> JsonObject:
    clicks = prompts.clicks
    value: JsonObject = {
        "object": int(prompts.object_id),
        "start": None if prompts.start is None else list(place(prompts.start)),
        "start_status": prompts.start_status.value,
        "start_given": _ids_to_json(prompts.start_given),
        "clicks": [[float(one.x), float(one.y), bool(one.is_positive)] for one in clicks],
    }
    if prompts.start_beneath:
        value["start_beneath"] = [list(place(mask)) for mask in prompts.start_beneath]
    return value


def _ids_to_json(ids: Iterable[int]) -> list[int]:
    return sorted(map(int, ids))


def record_from_json(value: object, mask_at: Bring, matte_at: Bring | None = None) -> FrameRecord:
    """`mask_at` brings a mask, or raises; it is called for every mask the record names. `matte_at`
    brings a matte; one that is lost or damaged is left out, and so are all if it is None."""
    if value is None:
        return EMPTY_RECORD
    value = mapping(value, "a frame's record")
    prompts = value.get("prompts")
    status = _status(value.get("status"))
    # Projects of before a frame could hold both say what is in the mask, and answer for all of it.
    given = value.get("given", value.get("present") if status.is_given else [])
    mask = _mask(value.get("mask"), mask_at)
    return FrameRecord(
        mask=mask,
        status=status,
        present=object_ids(value.get("present"), "present"),
        given=object_ids(given, "given"),
        doubt=number(value.get("doubt"), "doubt", 0.0, 1.0),
        prompts=None if prompts is None else _prompts(mapping(prompts, "prompts"), mask_at),
        signs=_signs(value.get("signs")),
        beneath=_beneath(value.get("beneath", []), mask_at),
        covered=object_ids(value.get("covered", []), "covered"),
        mattes=()
        if mask is None or matte_at is None
        else _mattes(value.get("mattes"), mask, mask_at, matte_at),
    )


def check_listed(record: FrameRecord, ids: Set[int]) -> None:
    """Raises DamagedValueError if the frame shows an object that is not among `ids`."""
    unknown = record.objects - ids
    if unknown:
        raise DamagedValueError(
            Message("object {object_id} is shown and not in the list", object_id=min(unknown))
        )


def edit_frames_to_json(
    edit: Edit, place: Place, matte_place: Place | None = None
) -> dict[str, object]:
    """{"12": [before, after]}"""
    return {
        str(frame): [
            record_to_json(edit.before[frame], place, matte_place),
            record_to_json(edit.after[frame], place, matte_place),
        ]
        for frame in sorted(edit.after)
    }


def frames_from_json(
    value: object, frame_count: int, mask_at: Bring, matte_at: Bring | None = None
) -> tuple[dict[int, FrameRecord], dict[int, FrameRecord]]:
    """Records before and after, by frame."""
    before: dict[int, FrameRecord] = {}
    after: dict[int, FrameRecord] = {}
    for key, pair in mapping(value, "frames").items():
        frame = frame_number(key, frame_count)
        problem = Message("frame {frame} is not a record before and one after", frame=frame)
        old, new = parts(pair, Message("frame {frame}", frame=frame), 2, problem)
        if frame in after:
            raise DamagedValueError(problem)
        before[frame] = record_from_json(old, mask_at, matte_at)
        after[frame] = record_from_json(new, mask_at, matte_at)
    return before, after


def objects_to_json(objects: Iterable[ObjectInfo]) -> list[dict[str, object]]:
    """What is as usual of an object's presence and covered pixels is left out."""
    return [
        {
            "id": int(one.id),
            "name": one.name,
            "color": [int(part) for part in one.color],
            "is_locked": one.is_locked,
            "is_visible": one.is_visible,
            **({"presence": ranges_to_json(one.presence)} if one.presence else {}),
            **({"keeps_covered": True} if one.keeps_covered else {}),
        }
        for one in objects
    ]


def ranges_to_json(
    ranges: Iterable[PresenceRange] | Iterable[MemoryRange],
) -> list[list[int | str]]:
    """[[3, 9, "absent"]]: first and last frame of each."""
    return [[int(one.first), int(one.last), one.state.value] for one in ranges]


def _presence_from_json(value: object) -> tuple[PresenceRange, ...]:
    name = Message("a range of presence")
    return tuple(
        PresenceRange(first, last, PresenceState(state))
        for first, last, state in _ranges_from_json(value, "presence", name, _STATES)
    )


def memory_from_json(value: object, frame_count: int = _MOST_FRAMES) -> MemoryRules:
    name, end = Message("a range of memory"), frame_count - 1
    return MemoryRules(
        tuple(
            MemoryRange(first, last, MemoryRule(rule))
            for first, last, rule in _ranges_from_json(value, "memory_rules", name, _RULES, end)
        )
    )


def _ranges_from_json(
    value: object, key: str, name: str, states: Collection[str], end: int = _MOST_FRAMES
) -> list[tuple[int, int, str]]:
    """First and last frame, and state, ascending and apart."""
    ranges: list[tuple[int, int, str]] = []
    problem = Message("{name} is not two frames and a state", name=name)
    for one in listing(value, key):
        numbers = parts(one, name, 3, problem)
        least = ranges[-1][1] + 1 if ranges else 0
        first = integer(numbers[0], Message("the first frame of a range"), least, end)
        last = integer(numbers[1], Message("the last frame of a range"), first, end)
        state = text(numbers[2], Message("the state of a range"))
        if state not in states:
            raise DamagedValueError(Message("{name} has no state that is known", name=name))
        ranges.append((first, last, state))
    return ranges


def objects_from_json(value: object) -> tuple[ObjectInfo, ...]:
    found: dict[int, ObjectInfo] = {}
    for one in listing(value, "objects"):
        entry = mapping(one, Message("an object"))
        one_id = object_id(entry.get("id"))
        if one_id in found:
            raise DamagedValueError(Message("there are two objects {object_id}", object_id=one_id))
        problem = Message("the colour of object {object_id} is not three numbers", object_id=one_id)
        color = parts(entry.get("color"), "color", 3, problem)
        red, green, blue = (integer(part, "color", 0, 255) for part in color)
        found[one_id] = ObjectInfo(
            one_id,
            text(entry.get("name"), Message("an object's name")),
            (red, green, blue),
            is_locked=truth(entry.get("is_locked", False), "is_locked"),
            is_visible=truth(entry.get("is_visible", True), "is_visible"),
            presence=_presence_from_json(entry.get("presence", [])),
            keeps_covered=truth(entry.get("keeps_covered", False), "keeps_covered"),
        )
    return tuple(found.values())


def mapping(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise DamagedValueError(Message("{name} is not an object", name=name))
    return value


def listing(value: object, name: str) -> list[object]:
    if not isinstance(value, list):
        raise DamagedValueError(Message("{name} is not a list", name=name))
    return value


def parts(value: object, name: str, count: int, problem: str) -> list[object]:
    """Read a list of exactly `count` values. problem: the message for another length."""
    found = listing(value, name)
    if len(found) != count:
        raise DamagedValueError(problem)
    return found


def object_ids(value: object, name: str) -> frozenset[int]:
    return frozenset(map(object_id, listing(value, name)))


def integer(value: object, name: str, lowest: int, highest: int) -> int:
    if type(value) is not int or not lowest <= value <= highest:  # bool is an int as well
        raise DamagedValueError(
            Message(
                "{name} is not a whole number from {lowest} to {highest}",
                name=name,
                lowest=lowest,
                highest=highest,
            )
        )
    return value


def text(value: object, name: str) -> str:
    if not isinstance(value, str) or len(value) > _MOST_NAME:
        raise DamagedValueError(Message("{name} is not a text", name=name))
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates: it could never be written again
        raise DamagedValueError(Message("{name} is not a text", name=name)) from None
    return value


def object_id(value: object) -> int:
    return integer(value, Message("an object's number"), 1, 255)


def frame_number(key: str, frame_count: int) -> int:
    if key.isascii() and key.isdigit() and len(key) <= 10 and int(key) < frame_count:
        return int(key)
    raise DamagedValueError(Message("there is no frame “{key}” in the video", key=key[:20]))


def place_from_json(value: object) -> MaskPlace | None:
    """Of the mask of a record, which may have none. Raises DamagedValueError."""
    if value is None:
        return None
    name = "a mask's place"
    numbers = parts(value, name, 3, Message("a mask's place is not three numbers"))
    place = MaskPlace(*(integer(one, name, 0, 2**62) for one in numbers))
    if place.size_bytes == 0:
        raise DamagedValueError(Message("a mask has no size"))
    return place


def _mask(value: object, mask_at: Bring) -> bytes | None:
    place = place_from_json(value)
    return None if place is None else mask_at(place)


def _beneath(value: object, mask_at: Bring) -> tuple[bytes, ...]:
    places = [place_from_json(one) for one in listing(value, Message("what lies beneath"))]
    if len(places) >= MOST_LAYERS:
        raise DamagedValueError(Message("there is too much beneath a mask"))
    return tuple(mask_at(place) for place in places if place is not None)


def _prompts(value: Mapping[str, object], mask_at: Bring) -> Prompts:
    clicks = listing(value.get("clicks"), "clicks")
    if len(clicks) > _MOST_CLICKS:
        raise DamagedValueError(Message("there are too many clicks"))
    return Prompts(
        object_id(value.get("object")),
        _mask(value.get("start"), mask_at),
        _status(value.get("start_status")),
        tuple(_click(click) for click in clicks),
        object_ids(value.get("start_given", []), "start_given"),
        _beneath(value.get("start_beneath", []), mask_at),
    )


def _click(value: object) -> Click:
    problem = Message("a click is not x, y and whether it adds")
    *place, sign = parts(value, "a click", 3, problem)
    x, y = (number(part, "a click's place", -MOST_PX, MOST_PX) for part in place)
    return Click(x, y, truth(sign, "a click's sign"))


def _signs(value: object) -> tuple[Signs, ...]:
    """Empty where there are none, as in projects of before they were kept."""
    signs = {} if value is None else mapping(value, "signs")
    if signs.get("version") != _SIGNS_VERSION:
        return ()
    found = []
    for key, pair in mapping(signs.get("objects"), "signs").items():
        of = object_id(int(key) if key in _IDS else None)
        problem = Message("signs are not numbers and a key")
        values, packed = parts(pair, "signs", 2, problem)
        if not isinstance(packed, str) or len(packed) > _MOST_NAME:
            raise DamagedValueError(problem)
        numbers = tuple(number(one, "a sign", 0.0, _MOST_SIGN) for one in listing(values, "signs"))
        try:
            found.append(Signs.of(of, numbers, b64decode(packed, validate=True)))
        except ValueError:
            raise DamagedValueError(Message("the key of signs is damaged")) from None
    return tuple(found)


def _mattes(value: object, mask: bytes, mask_at: Bring, matte_at: Bring) -> tuple[Matte, ...]:
    """Those that can be read: a project is whole without them. mask: of the record."""
    if not isinstance(value, dict):
        return ()
    found: dict[int, Matte] = {}
    for key, places in value.items():
        try:
            of = object_id(int(key) if key in _IDS else None)
            packed_at, made_from = listing(places, "mattes")
            packed, before = _mask(packed_at, matte_at), _mask(made_from, mask_at)
        except ValueError:  # a DamagedValueError, or not two places
            continue
        if packed is not None:
            found[of] = Matte(of, packed, mask if before is None else before)
    return tuple(found[of] for of in sorted(found))


def _status(value: object) -> FrameStatus:
    try:
        return FrameStatus(str(value))
    except ValueError:
        raise DamagedValueError(Message("a frame's status is unknown")) from None


def number(value: object, name: str, lowest: float, highest: float) -> float:
    # NaN is not between any two numbers, and a huge int cannot become a float.
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not lowest <= value <= highest
    ):
        raise DamagedValueError(
            Message(
                "{name} is not a number from {lowest:g} to {highest:g}",
                name=name,
                lowest=lowest,
                highest=highest,
            )
        )
    return float(value)


def truth(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise DamagedValueError(Message("{name} is neither true nor false", name=name))
    return value
