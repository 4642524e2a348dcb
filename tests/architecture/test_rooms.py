"""One order of rooms: each imports only what stands before it, so a reader never walks in a circle."""

from architecture.rooms import EPISODE_WAY, FOLDER, ORDER, ROOMS, Import, imports, modules, purpose


def test_every_room_has_its_place_in_the_order():
    """A new folder is put into the list by whoever makes it."""
    found = {path.relative_to(FOLDER).with_suffix("").parts[0] for path in modules()}
    assert found == set(ORDER)
    assert len(set(ORDER)) == len(ORDER)


def test_nothing_imports_a_room_that_stands_after_it():
    """No import runs back up."""
    found = list(imports())
    assert len(found) > len(modules())  # it does read them
    assert [f"{item.importer} imports {item.imported}" for item in found if item.climbs] == []


def test_an_import_that_climbs_is_seen():
    """The check can fail."""
    assert Import("geometry/pose", "delivery.bag").climbs
    assert Import("errors", "log").climbs
    assert not Import("delivery/bag", "workspace.checksums").climbs
    assert not Import("scene/ingest", "scene.source").climbs


def test_every_room_says_what_it_is_for_in_one_line():
    """The picture of the rooms shows that line."""
    assert {room: text for room in ROOMS if not 20 < len(text := purpose(room)) <= 100} == {}


def test_an_episode_goes_down_the_list_once():
    """The way of an episode follows the order of the rooms."""
    places = [ROOMS.index(room) for room in EPISODE_WAY]
    assert places == sorted(places)
